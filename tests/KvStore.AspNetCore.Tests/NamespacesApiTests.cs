using System.Net;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests;

public sealed class NamespacesApiTests : ApiTest
{
    [Fact]
    public async Task A_namespace_is_created_shown_renamed_and_deleted()
    {
        var created = await Api.PostAsync("namespaces", """{"title":"settings"}""");
        var id = created.Result.GetProperty("id").GetString()!;
        id.Should().MatchRegex("^[0-9a-f]{32}$");
        created.Result.GetProperty("supports_url_encoding").GetBoolean().Should().BeTrue();

        (await Api.GetAsync("namespaces/" + id)).Result.GetProperty("title").GetString().Should().Be("settings");
        (await Api.PutAsync("namespaces/" + id, """{"title":"options"}""")).Result.GetProperty("title").GetString().Should().Be("options");
        (await Api.DeleteAsync("namespaces/" + id)).Status.Should().Be(HttpStatusCode.OK);
        (await Api.GetAsync("namespaces/" + id)).Code.Should().Be(10013);
        (await Api.DeleteAsync("namespaces/" + id)).Code.Should().Be(10013);
    }

    [Fact]
    public async Task A_title_that_is_taken_is_400_with_code_10014()
    {
        var other = await Catalog.CreateAsync("other");

        (await Api.PostAsync("namespaces", """{"title":"tested"}""")).Code.Should().Be(10014);
        (await Api.PutAsync("namespaces/" + other.Id, """{"title":"tested"}""")).Code.Should().Be(10014);
        (await Api.PutAsync("namespaces/" + other.Id, """{"title":"other"}""")).Status.Should().Be(HttpStatusCode.OK);
        Catalog.Entries.Should().HaveCount(2);
    }

    [Theory]
    [InlineData("")]
    [InlineData("no json")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"title":1}""")]
    [InlineData("""{"title":null}""")]
    [InlineData("""{"title":""}""")]
    [InlineData("""{"title":"  "}""")]
    [InlineData("""{"title":"a\u0000b"}""")]
    [InlineData("""{"title":"\ud800"}""")]
    [InlineData("""{"title":"0123456789abcdef0123456789abcdef"}""")]
    [InlineData("""{"title":"a""")]
    public async Task A_title_that_is_none_is_400_and_creates_nothing(string body)
    {
        var answer = await Api.PostAsync("namespaces", body);

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Code.Should().BeOneOf(10019, 10022);
        (await Api.PutAsync(Path, body)).Status.Should().Be(HttpStatusCode.BadRequest);
        Catalog.Entries.Select(entry => entry.Title).Should().Equal("tested");
    }

    [Fact]
    public async Task A_body_that_is_too_long_is_413()
    {
        (await Api.PostAsync("namespaces", $$"""{"title":"{{new string('t', 20_000)}}"}""")).Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        (await Api.PostAsync("namespaces", $$"""{"title":"{{new string('t', 513)}}"}""")).Status.Should().Be(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Pages_of_namespaces_come_in_the_order_asked_for()
    {
        foreach (var title in new[] { "c", "a", "b" })
        {
            await Catalog.CreateAsync(title);
        }

        var first = await Api.GetAsync("namespaces?per_page=3&order=title&direction=asc");
        Titles(first).Should().Equal("a", "b", "c");
        first.Json.GetProperty("result_info").GetRawText().Should().Be("""{"page":1,"per_page":3,"count":3,"total_count":4,"total_pages":2}""");
        Titles(await Api.GetAsync("namespaces?per_page=3&order=title&direction=asc&page=2")).Should().Equal("tested");
        Titles(await Api.GetAsync("namespaces?per_page=1000&page=2")).Should().BeEmpty();
        Titles(await Api.GetAsync("namespaces?page=2147483647&per_page=1000")).Should().BeEmpty();
        Titles(await Api.GetAsync("namespaces?direction=desc")).Should().Equal("tested", "c", "b", "a");
        (await Api.GetAsync("namespaces?order=id")).Result.EnumerateArray().Select(entry => entry.GetProperty("id").GetString())
            .Should().BeInAscendingOrder(StringComparer.Ordinal).And.HaveCount(4);
    }

    [Theory]
    [InlineData("page=0")]
    [InlineData("page=x")]
    [InlineData("per_page=0")]
    [InlineData("per_page=1001")]
    [InlineData("order=size")]
    [InlineData("direction=up")]
    public async Task A_page_that_cannot_be_is_400(string query) =>
        (await Api.GetAsync("namespaces?" + query)).Status.Should().Be(HttpStatusCode.BadRequest);

    [Fact]
    public async Task A_path_or_method_that_is_not_one_of_the_API_is_refused()
    {
        (await Api.GetAsync("namespaces/")).Code.Should().Be(7003);
        (await Api.DeleteAsync(Path + "/")).Code.Should().Be(7003);
        (await Api.DeleteAsync(Path + "/values/../")).Status.Should().Be(HttpStatusCode.OK, "that is the key \"../\"");
        (await Api.DeleteAsync("namespaces")).Status.Should().Be(HttpStatusCode.MethodNotAllowed);
        (await Api.PostAsync(Path + "/keys", "")).Status.Should().Be(HttpStatusCode.MethodNotAllowed);
        (await Api.GetAsync(Path + "/bulk")).Status.Should().Be(HttpStatusCode.MethodNotAllowed);
        Catalog.Find(Entry.Id).Should().NotBeNull();
    }

    private static IEnumerable<string?> Titles(ApiClient.Answer answer) =>
        answer.Result.EnumerateArray().Select((JsonElement entry) => entry.GetProperty("title").GetString());
}
