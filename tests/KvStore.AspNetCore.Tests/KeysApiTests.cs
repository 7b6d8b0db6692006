using System.Net;

namespace KvStore.AspNetCore.Tests;

public sealed class KeysApiTests : ApiTest
{
    [Fact]
    public async Task Pages_of_keys_show_names_expirations_and_metadata_until_the_cursor_is_empty()
    {
        for (var i = 0; i < 25; i++)
        {
            await Kv.PutAsync($"key:{i:D2}", "v", new KvPutOptions { ExpirationTtl = i == 3 ? TimeSpan.FromHours(1) : null, Metadata = i < 2 ? KvMetadata.FromJson("0") : default });
        }

        await Kv.PutAsync("other", "v");
        var names = new List<string>();
        var cursor = "";
        do
        {
            var page = await Api.GetAsync($"{Path}/keys?prefix=key%3A&limit=10&cursor={Uri.EscapeDataString(cursor)}");
            page.Json.GetProperty("result_info").GetProperty("count").GetInt32().Should().Be(page.Result.GetArrayLength());
            names.AddRange(page.Result.EnumerateArray().Select(key => key.GetProperty("name").GetString()!));
            cursor = page.Json.GetProperty("result_info").GetProperty("cursor").GetString()!;
        }
        while (cursor.Length > 0);

        names.Should().Equal(Enumerable.Range(0, 25).Select(i => $"key:{i:D2}"));
        var all = (await Api.GetAsync($"{Path}/keys")).Result;
        all.GetArrayLength().Should().Be(26);
        all[0].GetRawText().Should().Be("""{"name":"key:00","metadata":0}""");
        all[3].GetProperty("expiration").GetInt64().Should().Be((await Kv.GetAsync("key:03")).Expiration!.Value.ToUnixTimeSeconds());
    }

    [Theory]
    [InlineData("limit=9")]
    [InlineData("limit=1001")]
    [InlineData("limit=-1")]
    [InlineData("limit=many")]
    [InlineData("cursor=bm90IG91cnM")]
    [InlineData("cursor=!!!")]
    [InlineData("cursor=%00%FF")]
    public async Task A_limit_or_cursor_that_cannot_be_is_400(string query)
    {
        var answer = await Api.GetAsync($"{Path}/keys?{query}");

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Code.Should().Be(10022);
    }

    [Fact]
    public async Task A_prefix_that_is_too_long_is_414() =>
        (await Api.GetAsync($"{Path}/keys?prefix={new string('p', 513)}")).Status.Should().Be(HttpStatusCode.RequestUriTooLong);
}
