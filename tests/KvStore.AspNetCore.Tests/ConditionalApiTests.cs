using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace KvStore.AspNetCore.Tests;

/// <summary>ETag, If-Match and If-None-Match: RFC 9110, 13.</summary>
public sealed class ConditionalApiTests : ApiTest
{
    private const int PreconditionFailed = 10028;

    private string Key => $"{Path}/values/k";

    [Fact]
    public async Task Get_has_the_revision_as_a_strong_tag_that_every_write_changes()
    {
        await Kv.PutAsync("k", "1");
        var first = (await Api.GetAsync(Key)).Headers["ETag"];
        first.Should().Be(Tag((await Kv.GetAsync("k")).Revision));

        await Kv.PutAsync("k", "1");

        (await Api.GetAsync(Key)).Headers["ETag"].Should().NotBe(first);
        (await Api.GetAsync($"{Path}/values/missing")).Headers.Should().NotContainKey("ETag");
    }

    [Fact]
    public async Task Get_of_what_the_client_has_is_304_without_a_body()
    {
        await Kv.PutAsync("k", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(1) });
        var tag = (await Api.GetAsync(Key)).Headers["ETag"];

        foreach (var sent in new[] { tag, "W/" + tag, "*", $"\"x\", {tag}" })
        {
            var same = await Get(("If-None-Match", sent));
            same.Status.Should().Be(HttpStatusCode.NotModified);
            same.Body.Should().BeEmpty();
            same.Headers["ETag"].Should().Be(tag);
            same.Headers.Should().ContainKey("expiration");
        }

        await Kv.PutAsync("k", "2");
        var changed = await Get(("If-None-Match", tag));
        changed.Status.Should().Be(HttpStatusCode.OK);
        changed.Text.Should().Be("2");
        (await Get(("If-Match", tag))).Code.Should().Be(PreconditionFailed);
        (await Get(("If-Match", "*"))).Text.Should().Be("2");
        (await Api.SendAsync(HttpMethod.Get, $"{Path}/values/missing", null, ("If-None-Match", "*"))).Status.Should().Be(HttpStatusCode.NotFound);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Put_with_If_Match_writes_only_over_that_version(bool isMultipart)
    {
        await Kv.PutAsync("k", "1");
        var tag = Tag((await Kv.GetAsync("k")).Revision);

        var written = await Put("2", isMultipart, ("If-Match", tag));
        written.Status.Should().Be(HttpStatusCode.OK);
        written.Headers["ETag"].Should().Be(Tag((await Kv.GetAsync("k")).Revision));

        var refused = await Put("3", isMultipart, ("If-Match", tag));
        refused.Status.Should().Be(HttpStatusCode.PreconditionFailed);
        refused.Code.Should().Be(PreconditionFailed);
        (await Kv.GetTextAsync("k")).Should().Be("2");
        (await Put("4", isMultipart, ("If-Match", $"{tag}, {written.Headers["ETag"]}"))).Status.Should().Be(HttpStatusCode.OK);
        (await Put("5", isMultipart, ("If-Match", "*"))).Status.Should().Be(HttpStatusCode.OK);
        await Kv.DeleteAsync("k");
        (await Put("6", isMultipart, ("If-Match", "*"))).Code.Should().Be(PreconditionFailed);
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Put_with_If_None_Match_writes_only_what_is_not_there()
    {
        (await Put("1", isMultipart: false, ("If-None-Match", "*"))).Status.Should().Be(HttpStatusCode.OK);
        (await Put("2", isMultipart: false, ("If-None-Match", "*"))).Code.Should().Be(PreconditionFailed);
        var tag = Tag((await Kv.GetAsync("k")).Revision);
        (await Put("3", isMultipart: false, ("If-None-Match", "W/" + tag))).Code.Should().Be(PreconditionFailed);
        (await Put("4", isMultipart: false, ("If-None-Match", "\"1234567\""))).Status.Should().Be(HttpStatusCode.OK);
        (await Put("5", isMultipart: false, ("If-Match", "*"), ("If-None-Match", "*"))).Code.Should().Be(PreconditionFailed);
        (await Put("6", isMultipart: false, ("If-Match", "*"), ("If-None-Match", tag))).Status.Should().Be(HttpStatusCode.OK);

        (await Kv.GetTextAsync("k")).Should().Be("6");
    }

    [Fact]
    public async Task Delete_deletes_only_the_version_that_is_asked_for()
    {
        await Kv.PutAsync("k", "1");
        var tag = Tag((await Kv.GetAsync("k")).Revision);
        await Kv.PutAsync("k", "2");

        (await Delete(("If-Match", tag))).Code.Should().Be(PreconditionFailed);
        (await Delete(("If-None-Match", "*"))).Code.Should().Be(PreconditionFailed);
        (await Kv.GetTextAsync("k")).Should().Be("2");
        (await Delete(("If-Match", Tag((await Kv.GetAsync("k")).Revision)))).Status.Should().Be(HttpStatusCode.OK);
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
        (await Delete(("If-Match", "*"))).Code.Should().Be(PreconditionFailed);
        (await Delete()).Status.Should().Be(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("W/\"{0}\"")]
    [InlineData("\"0{0}\"")]
    [InlineData("\"x\"")]
    [InlineData("\"\"")]
    [InlineData("\"99999999999999999999999\"")]
    [InlineData("\"-1\"")]
    [InlineData("\"0\"")]
    public async Task Tag_that_no_entry_has_never_matches_strongly(string format)
    {
        await Kv.PutAsync("k", "1");
        var sent = string.Format(CultureInfo.InvariantCulture, format, (await Kv.GetAsync("k")).Revision);

        (await Put("2", isMultipart: false, ("If-Match", sent))).Code.Should().Be(PreconditionFailed);

        (await Kv.GetTextAsync("k")).Should().Be("1");
    }

    [Theory]
    [InlineData("1")]
    [InlineData("\"1")]
    [InlineData("*, \"1\"")]
    [InlineData("\"1\" \"2\"")]
    [InlineData("junk")]
    public async Task Malformed_tag_is_400_and_changes_nothing(string sent)
    {
        await Kv.PutAsync("k", "1");
        foreach (var header in new[] { "If-Match", "If-None-Match" })
        {
            (await Put("2", isMultipart: false, (header, sent))).Code.Should().Be(10022);
            (await Delete((header, sent))).Code.Should().Be(10022);
            (await Get((header, sent))).Code.Should().Be(10022);
        }

        (await Kv.GetTextAsync("k")).Should().Be("1");
    }

    [Theory]
    [InlineData("PUT", "/bulk", """[{"key":"k","value":"2"}]""")]
    [InlineData("DELETE", "/bulk", """["k"]""")]
    [InlineData("POST", "/bulk/delete", """["k"]""")]
    [InlineData("PUT", "", """{"title":"renamed"}""")]
    [InlineData("DELETE", "", "")]
    public async Task Write_that_checks_no_condition_refuses_one_and_changes_nothing(string method, string path, string body)
    {
        await Kv.PutAsync("k", "1");
        var before = (await Api.GetAsync(Path)).Text;
        foreach (var header in new[] { "If-Match", "If-None-Match" })
        {
            foreach (var tag in new[] { "*", Tag((await Kv.GetAsync("k")).Revision), "junk" })
            {
                var refused = await Api.SendAsync(new HttpMethod(method), Path + path, new StringContent(body), (header, tag));
                refused.Status.Should().Be(HttpStatusCode.BadRequest);
                refused.Code.Should().Be(10022);
                refused.Message.Should().Be($"The header {header} has no meaning here: only a get, put or delete of one value checks a condition. Nothing was changed.");
            }
        }

        (await Kv.GetTextAsync("k")).Should().Be("1");
        (await Api.GetAsync(Path)).Text.Should().Be(before);
    }

    [Fact]
    public async Task Clients_that_put_on_condition_lose_no_update()
    {
        const int Each = 20;
        await Kv.PutAsync("k", "0");

        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            for (var i = 0; i < Each;)
            {
                var read = await Api.GetAsync(Key);
                var next = int.Parse(read.Text, CultureInfo.InvariantCulture) + 1;
                var put = await Put($"{next}", isMultipart: false, ("If-Match", read.Headers["ETag"]));
                put.Status.Should().BeOneOf(HttpStatusCode.OK, HttpStatusCode.PreconditionFailed);
                i += put.Status == HttpStatusCode.OK ? 1 : 0;
            }
        }));

        (await Kv.GetTextAsync("k")).Should().Be($"{8 * Each}");
    }

    private static string Tag(long revision) => string.Create(CultureInfo.InvariantCulture, $"\"{revision}\"");

    private Task<ApiClient.Answer> Get(params (string, string)[] headers) => Api.SendAsync(HttpMethod.Get, Key, null, headers);

    private Task<ApiClient.Answer> Delete(params (string, string)[] headers) => Api.SendAsync(HttpMethod.Delete, Key, null, headers);

    private Task<ApiClient.Answer> Put(string value, bool isMultipart, params (string, string)[] headers)
    {
        if (!isMultipart)
        {
            return Api.SendAsync(HttpMethod.Put, Key, new StringContent(value), headers);
        }

        var content = new MultipartFormDataContent { { new StringContent(value), "value" }, { new StringContent("7"), "metadata" } };
        content.First().Headers.ContentType = new MediaTypeHeaderValue("text/plain");
        return Api.SendAsync(HttpMethod.Put, Key, content, headers);
    }
}
