using System.Net;
using System.Text;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests;

public sealed class BulkApiTests : ApiTest
{
    [Fact]
    public async Task Pairs_go_in_and_the_last_of_one_key_wins()
    {
        var answer = await Api.PutAsync($"{Path}/bulk", """
            [{"key":"a","value":"first"},{"key":"b","value":"AP8=","base64":true,"expiration_ttl":60},
             {"key":"a","value":"last","metadata":{"n":1}}]
            """);

        answer.Result.GetProperty("successful_key_count").GetInt32().Should().Be(3);
        answer.Result.GetProperty("unsuccessful_keys").GetArrayLength().Should().Be(0);
        (await Kv.GetTextAsync("a")).Should().Be("last");
        (await Kv.GetAsync("a")).Metadata.ToString().Should().Be("""{"n":1}""");
        (await Kv.GetAsync("b")).GetBytes().ToArray().Should().Equal(0, 0xFF);
    }

    [Fact]
    public async Task Pairs_that_are_refused_are_named_and_the_others_go_in()
    {
        var answer = await Api.PutAsync($"{Path}/bulk", $$"""
            [{"key":"good","value":"v"},{"key":"","value":"v"},{"key":"..","value":"v"},{"key":"{{new string('k', 513)}}","value":"v"},
             {"key":"ttl","value":"v","expiration_ttl":1},{"key":"number","value":5},{"key":"base","value":"!","base64":true},{"key":"also good","value":""}]
            """);

        answer.Status.Should().Be(HttpStatusCode.OK);
        answer.Result.GetProperty("successful_key_count").GetInt32().Should().Be(2);
        answer.Result.GetProperty("unsuccessful_keys").EnumerateArray().Select(key => key.GetString())
            .Should().Equal("", "..", new string('k', 513), "ttl", "number", "base");
        Kv.Count.Should().Be(2);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("nothing")]
    [InlineData("""[{"value":"no key"}]""")]
    [InlineData("[1]")]
    [InlineData("""[{"key":"a","value":"v"},{"key":"b","va""")]
    [InlineData("""[{"key":"\ud800","value":"v"}]""")]
    public async Task A_body_that_is_no_list_of_pairs_is_400(string body)
    {
        var answer = await Api.PutAsync($"{Path}/bulk", body);

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Code.Should().Be(10022);
    }

    [Fact]
    public async Task What_stood_before_a_break_was_taken_and_the_answer_says_so()
    {
        var answer = await Api.PutAsync($"{Path}/bulk", """[{"key":"a","value":"v"},{"key":"b","value":"v"},{"key":"c",""");

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Text.Should().Contain("2 entries");
        (await Kv.GetTextAsync("b")).Should().Be("v");
    }

    [Fact]
    public async Task Half_a_surrogate_pair_among_many_keys_is_missing_and_hides_no_other_key()
    {
        await Kv.PutAsync("a\uFFFDb", "there");

        var values = (await Api.PostAsync($"{Path}/bulk/get", """{"keys":["a\ud800b","a\ufffdb","c\udc00\n\"\\\/\b\f\r\t","c\udc01\n\"\\\/\b\f\r\t"]}"""))
            .Result.GetProperty("values");

        values.EnumerateObject().Select(property => (property.Name, property.Value.GetString()))
            .Should().Equal(("a\uFFFDb", "there"), ("c\uFFFD\n\"\\/\b\f\r\t", null));
    }

    [Fact]
    public async Task More_than_10_000_pairs_are_refused()
    {
        var pairs = Enumerable.Range(0, 10_001).Select(i => new { key = $"k{i}", value = "v" });
        (await Api.PutAsync($"{Path}/bulk", JsonSerializer.Serialize(pairs.Take(10_000)))).Result.GetProperty("successful_key_count").GetInt32().Should().Be(10_000);
        (await Api.PutAsync($"{Path}/bulk", JsonSerializer.Serialize(pairs))).Status.Should().Be(HttpStatusCode.BadRequest);
        (await Api.PostAsync($"{Path}/bulk/delete", JsonSerializer.Serialize(pairs.Take(10_000).Select(pair => pair.key)))).Result
            .GetProperty("successful_key_count").GetInt32().Should().Be(10_000);
        Kv.Count.Should().Be(0);
    }

    [Fact]
    public async Task A_body_that_is_announced_to_be_too_long_is_413_before_it_is_read()
    {
        using var content = new StringContent("[]");
        content.Headers.ContentLength = (100 * 1024 * 1024) + 1;

        var answer = () => Api.SendAsync(HttpMethod.Put, $"{Path}/bulk", content);

        // The client cannot send that much; what it says of the answer it got is its own affair.
        await answer.Should().ThrowAsync<HttpRequestException>();
        Kv.Count.Should().Be(0);
    }

    [Theory]
    [InlineData("DELETE", "bulk")]
    [InlineData("POST", "bulk/delete")]
    public async Task Keys_are_deleted_whether_they_exist_or_not(string method, string path)
    {
        await Kv.PutAsync("a", "v");
        await Kv.PutAsync("b/c", "v");
        await Kv.PutAsync("stays", "v");

        var answer = await Api.SendAsync(new HttpMethod(method), $"{Path}/{path}", new StringContent("""["a","b/c","missing",{"name":"also missing"},".."]"""));

        answer.Result.GetProperty("successful_key_count").GetInt32().Should().Be(4);
        answer.Result.GetProperty("unsuccessful_keys")[0].GetString().Should().Be("..");
        Kv.Count.Should().Be(1);
        (await Api.SendAsync(new HttpMethod(method), $"{Path}/{path}", new StringContent("[1]"))).Status.Should().Be(HttpStatusCode.BadRequest);
        (await Api.SendAsync(new HttpMethod(method), $"{Path}/{path}", new StringContent("[\"stays\""))).Status.Should().Be(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Many_values_come_back_by_type_with_metadata()
    {
        await Kv.PutAsync("text", "plain \"é\"", new KvPutOptions { Metadata = KvMetadata.FromJson("false") });
        await Kv.PutAsync("json", """{"a":[1,2]}""", new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(1) });
        await Kv.PutAsync("bytes", new byte[] { 0xFF });

        (await Api.PostAsync($"{Path}/bulk/get", """{"keys":["text","missing","bytes","text"]}""")).Result.GetRawText()
            .Should().Be("""{"values":{"text":"plain \"é\"","missing":null,"bytes":"�"}}""");
        (await Api.PostAsync($"{Path}/bulk/get", """{"keys":["json"],"type":"json"}""")).Result.GetRawText()
            .Should().Be("""{"values":{"json":{"a":[1,2]}}}""");
        var with = (await Api.PostAsync($"{Path}/bulk/get", """{"keys":["text","json"],"withMetadata":true}""")).Result.GetProperty("values");
        with.GetProperty("text").GetRawText().Should().Be("""{"value":"plain \"é\"","metadata":false}""");
        with.GetProperty("json").GetProperty("expiration").GetInt64().Should().BePositive();
    }

    [Theory]
    [InlineData("""{"keys":[]}""")]
    [InlineData("""{"keys":[1]}""")]
    [InlineData("""{"keys":"a"}""")]
    [InlineData("""{"keys":[""]}""")]
    [InlineData("""{"keys":["a"],"type":"stream"}""")]
    [InlineData("""{"keys":["text"],"type":"json"}""")]
    [InlineData("""["a"]""")]
    [InlineData("")]
    public async Task A_get_of_many_that_cannot_be_is_400(string body)
    {
        await Kv.PutAsync("text", "no json");

        (await Api.PostAsync($"{Path}/bulk/get", body)).Status.Should().Be(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task A_get_of_more_than_100_keys_is_400()
    {
        var keys = JsonSerializer.Serialize(Enumerable.Range(0, 101).Select(i => $"k{i}"));

        (await Api.PostAsync($"{Path}/bulk/get", $$"""{"keys":{{keys}}}""")).Status.Should().Be(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Bulk_requests_beyond_the_places_for_them_are_429()
    {
        var release = new TaskCompletionSource();
        var slow = Enumerable.Range(0, 8).Select(_ => Api.SendAsync(HttpMethod.Put, $"{Path}/bulk", new Waiting(release.Task))).ToList();
        await Task.WhenAll(Waiting.Begun(slow.Count));

        // Those eight hold their places once the server has begun to read them.
        ApiClient.Answer answer;
        do
        {
            answer = await Api.PutAsync($"{Path}/bulk", "[]");
        }
        while (answer.Status == HttpStatusCode.OK);

        answer.Status.Should().Be(HttpStatusCode.TooManyRequests);
        answer.Headers.Should().ContainKey("Retry-After");
        release.SetResult();
        (await Task.WhenAll(slow)).Should().OnlyContain(done => done.Status == HttpStatusCode.OK);
        (await Api.PutAsync($"{Path}/bulk", "[]")).Status.Should().Be(HttpStatusCode.OK);
    }

    // A body whose end waits.
    private sealed class Waiting(Task end) : HttpContent
    {
        private static int s_begun;

        public static Task Begun(int count) => Task.Run(async () =>
        {
            while (Volatile.Read(ref s_begun) < count)
            {
                await Task.Yield();
            }
        });

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes("["));
            await stream.FlushAsync();
            Interlocked.Increment(ref s_begun);
            await end;
            await stream.WriteAsync(Encoding.ASCII.GetBytes("]"));
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
