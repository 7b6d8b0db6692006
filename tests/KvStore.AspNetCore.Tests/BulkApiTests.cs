using System.Net;
using System.Text;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests;

public sealed class BulkApiTests : ApiTest
{
    private const string OtherSecret = "another-secret-of-enough-length";
    private const long InFlightMax = 8 * 1024 * 1024;

    private static readonly JsonSerializerOptions s_unescaped = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

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

    [Theory]
    [InlineData("""{"key":"","value":"v"}""", "empty")]
    [InlineData("""{"key":"..","value":"v"}""", "not allowed as a key name")]
    [InlineData("""{"key":"LONG","value":"v"}""", "key length limit of 512")]
    [InlineData("""{"key":"HUGE","value":"v"}""", "longer than")]
    [InlineData("""{"key":"\ud800","value":"v"}""", "surrogate")]
    [InlineData("""{"key":"k","value":"v","expiration_ttl":30}""", "expiration_ttl of 30")]
    [InlineData("""{"key":"k","value":"v","expiration":1000}""", "expiration of 1000")]
    [InlineData("""{"key":"k","value":"v","expiration":1732000000000}""", "expiration")]
    [InlineData("""{"key":"k","value":"v","expiration_ttl":60.5}""", "expiration_ttl")]
    [InlineData("""{"key":"k","value":"v","metadata":"LONG2"}""", "Metadata length")]
    [InlineData("""{"key":"k","value":"v","metadata":{"a":"HUGE"}}""", "metadata")]
    [InlineData("""{"key":"k","value":5}""", "value")]
    [InlineData("""{"key":"k"}""", "value")]
    [InlineData("""{"value":"v"}""", "key")]
    [InlineData("5", "object")]
    [InlineData("""{"key":"k","value":"!","base64":true}""", "base64")]
    [InlineData("""{"key":"k","value":"\ud800","base64":true}""", "base64")]
    [InlineData("""{"key":"k","value":"HUGE!","base64":true}""", "base64")]
    [InlineData("""{"key":"k","value":"HUGE\udc00","base64":true}""", "base64")]
    [InlineData("""{"key":"k","value":"HUGE\udc00"}""", "surrogate")]
    [InlineData("""{"key":"k","value":"\ud800"}""", "surrogate")]
    [InlineData("""{"key":"k","value":"v","base64":1}""", "base64")]
    public async Task An_entry_that_can_never_be_stored_is_400_with_its_index_and_nothing_is(string entry, string reason)
    {
        entry = entry.Replace("LONG2", new string('m', 1025)).Replace("LONG", new string('k', 600)).Replace("HUGE", new string('h', 400_000));

        var answer = await Api.PutAsync($"{Path}/bulk", $$"""[{"key":"before","value":"v"},{{entry}},{"key":"after","value":"v"}]""");

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Code.Should().Be(10022);
        answer.Json.GetProperty("errors")[0].GetProperty("message").GetString().Should().StartWith("Entry 1 cannot be stored").And.Contain(reason).And.EndWith("No entry was stored.");
        Kv.Count.Should().Be(0);
    }

    [Theory]
    [InlineData("\"\"")]
    [InlineData("\"..\"")]
    [InlineData("\"LONG\"")]
    [InlineData("\"HUGE\"")]
    [InlineData("1")]
    [InlineData("{\"name\":1}")]
    [InlineData("{\"\\ud800\":1}")]
    [InlineData("\"\\ud800\"")]
    public async Task A_key_that_cannot_be_deleted_is_400_with_its_index_and_none_is(string key)
    {
        await Kv.PutAsync("stays", "v");
        key = key.Replace("LONG", new string('k', 600)).Replace("HUGE", new string('h', 400_000));

        var answer = await Api.SendAsync(HttpMethod.Delete, $"{Path}/bulk", new StringContent($"[\"stays\",{key}]"));

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Text.Should().Contain("Entry 1 cannot be deleted").And.Contain("No entry was deleted.");
        Kv.Count.Should().Be(1);
    }

    [Fact]
    public async Task Long_texts_are_stored_as_they_are_whatever_escapes_they_have()
    {
        var text = string.Concat(Enumerable.Range(0, 60_000).Select(i => i % 7 == 0 ? "\ud83d\ude00" : i % 5 == 0 ? "\"\\/\n\u0001" : "é€x"));
        var bytes = new byte[700_001];
        new Random(5).NextBytes(bytes);
        var escaped = JsonSerializer.Serialize(text);
        var plain = JsonSerializer.Serialize(text, s_unescaped);

        var answer = await Api.PutAsync($"{Path}/bulk", $$"""
            [{"key":"escaped","value":{{escaped}},"metadata":1},{"value":"{{Convert.ToBase64String(bytes)}}","base64":true,"key":"bytes"},
             {"key":"plain","value":{{plain}}},{"key":"short","value":"s"}]
            """);

        answer.Status.Should().Be(HttpStatusCode.OK, answer.Text);
        answer.Result.GetProperty("successful_key_count").GetInt32().Should().Be(4);
        ((await Kv.GetTextAsync("escaped")) == text).Should().BeTrue();
        ((await Kv.GetTextAsync("plain")) == text).Should().BeTrue();
        (await Kv.GetAsync("bytes")).GetBytes().Span.SequenceEqual(bytes).Should().BeTrue();
        (await Kv.GetTextAsync("short")).Should().Be("s");
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
    public async Task Body_that_breaks_off_is_not_stored_at_all()
    {
        var answer = await Api.PutAsync($"{Path}/bulk", """[{"key":"a","value":"v"},{"key":"b","value":"v"},{"key":"c",""");

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Text.Should().Contain("2 entries").And.Contain("No entry was stored");
        Kv.Count.Should().Be(0);
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

        var answer = await Api.SendAsync(new HttpMethod(method), $"{Path}/{path}", new StringContent("""["a","b/c","missing",{"name":"also missing"}]"""));

        answer.Result.GetProperty("successful_key_count").GetInt32().Should().Be(4);
        answer.Result.GetProperty("unsuccessful_keys").GetArrayLength().Should().Be(0);
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
    [InlineData("""{"keys":["k"],"type":5}""", "\"type\" must be")]
    [InlineData("""{"keys":["k"],"type":["json"]}""", "\"type\" must be")]
    [InlineData("""{"keys":["k"],"type":"JSON"}""", "is not a valid type")]
    [InlineData("""{"keys":["k"],"withMetadata":"true"}""", "\"withMetadata\" must be true or false")]
    [InlineData("""{"keys":["k"],"withMetadata":1}""", "\"withMetadata\" must be true or false")]
    public async Task Get_of_many_with_an_option_of_the_wrong_kind_is_refused(string body, string reason)
    {
        await Kv.PutAsync("k", "1");

        var answer = await Api.PostAsync($"{Path}/bulk/get", body);

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Text.Replace("\\", "", StringComparison.Ordinal).Should().Contain(reason);
        (await Api.PostAsync($"{Path}/bulk/get", """{"keys":["k"],"type":null,"withMetadata":null}""")).Result.GetRawText().Should().Be("""{"values":{"k":"1"}}""");
    }

    [Theory]
    [InlineData(16 * 1024)]
    [InlineData((16 * 1024) + 1)]
    [InlineData(32 * 1024)]
    [InlineData(1_000_003)]
    public async Task Long_values_come_back_whole_wherever_their_parts_meet(int length)
    {
        // Characters of 2, 3 and 4 bytes, and bytes that are none, at every boundary sooner or later.
        var text = string.Concat(Enumerable.Repeat("\uFEFFé\"€\\😀\u0001", 200_000));
        var bytes = Encoding.UTF8.GetBytes(text)[..length];
        bytes[length / 2] = 0xFF;
        var json = Encoding.UTF8.GetBytes($"[\"{new string('é', (length - 5) / 2)}\"]");
        json[length / 3] = 0xFF;
        await Kv.PutAsync("text", bytes);
        await Kv.PutAsync("json", json);
        await Kv.PutAsync("short", "1");

        var texts = (await Api.PostAsync($"{Path}/bulk/get", """{"keys":["short","text","missing","json"]}""")).Result.GetProperty("values");
        var jsons = (await Api.PostAsync($"{Path}/bulk/get", """{"keys":["json","short"],"type":"json","withMetadata":true}""")).Result.GetProperty("values");

        texts.EnumerateObject().Select(property => property.Name).Should().Equal("short", "text", "missing", "json");
        (texts.GetProperty("text").GetString() == Encoding.UTF8.GetString(bytes)[1..]).Should().BeTrue();
        (texts.GetProperty("json").GetString() == Encoding.UTF8.GetString(json)).Should().BeTrue();
        (jsons.GetProperty("json").GetProperty("value").GetRawText() == Encoding.UTF8.GetString(json)).Should().BeTrue();
        jsons.GetProperty("short").GetProperty("value").GetInt32().Should().Be(1);
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
    public async Task A_token_with_too_much_in_flight_gets_429_and_another_token_does_not()
    {
        using var other = new ApiClient(Host.Url, OtherSecret);
        // Eight of them may be under way, and the one that comes last is too much; which one that is, nobody knows.
        const int Bytes = 930 * 1024;
        var slow = new List<WireClient>();
        for (var i = 0; i < 9; i++)
        {
            slow.Add(await WireClient.ConnectAsync(Host.Url));
            await slow[i].SendAsync($"PUT /client/v4/accounts/a/storage/kv/{Path}/bulk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\nContent-Length: {Bytes + 2}\r\n\r\n[{new string(' ', Bytes)}");
        }

        var answers = slow.Select(client => client.ReadHeadAsync()).ToList();
        var refused = await await Task.WhenAny(answers);

        refused.Should().StartWith("HTTP/1.1 429").And.Contain("Retry-After: ");
        (await other.PutAsync($"{Path}/bulk", $$"""[{"key":"o","value":"{{new string('v', 900_000)}}"}]""")).Status.Should().Be(HttpStatusCode.OK);
        (await other.PostAsync($"{Path}/bulk/get", """{"keys":["o"]}""")).Status.Should().Be(HttpStatusCode.OK);
        foreach (var client in slow)
        {
            await client.SendAsync("]");
        }

        var statuses = (await Task.WhenAll(answers)).Select(head => head[9..12]).ToList();
        statuses.Should().Contain("200").And.OnlyContain(status => status == "200" || status == "429");
        (await Api.PutAsync($"{Path}/bulk", $$"""[{"key":"k","value":"{{new string('v', 900_000)}}"}]""")).Status.Should().Be(HttpStatusCode.OK, "all was given back");
        slow.ForEach(client => client.Dispose());
    }

    protected override void Configure(KvApiOptions api)
    {
        base.Configure(api);
        api.AddToken(KvToken.FromSecret(OtherSecret));
        api.BulkBytesInFlightMax = InFlightMax;
    }
}
