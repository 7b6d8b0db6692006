using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;

namespace KvStore.AspNetCore.Tests;

public sealed class AccessTests : ApiTest
{
    private const string ReadOnly = "reads-everything-writes-nothing";
    private const string OfOne = "reads-and-writes-the-one-namespace";
    private const string OfTitle = "reads-the-other-by-its-title";

    private static readonly string[] s_everyPath =
    [
        "GET namespaces", "POST namespaces", "GET {0}", "PUT {0}", "DELETE {0}", "GET {0}/keys", "GET {0}/values/k", "PUT {0}/values/k",
        "DELETE {0}/values/k", "GET {0}/metadata/k", "PUT {0}/bulk", "DELETE {0}/bulk", "POST {0}/bulk/delete", "POST {0}/bulk/get", "GET nothing",
    ];

    [Theory]
    [InlineData(null)]
    [InlineData("another-secret-of-enough-length")]
    [InlineData("A-secret-of-enough-length")]
    [InlineData("a-secret-of-enough-lengt")]
    [InlineData("a-secret-of-enough-length!")]
    public async Task Request_without_a_known_token_is_refused(string? token)
    {
        using var api = new ApiClient(Host.Url, token);
        foreach (var path in s_everyPath)
        {
            var answer = await SendAsync(api, path);

            answer.Status.Should().Be(HttpStatusCode.Unauthorized, path);
            answer.Code.Should().Be(10000);
            answer.Headers["WWW-Authenticate"].Should().Be("Bearer");
        }

        Catalog.Entries.Should().ContainSingle();
    }

    [Fact]
    public async Task A_token_for_reading_reads_and_does_not_write()
    {
        await Kv.PutAsync("k", "v");
        using var api = new ApiClient(Host.Url, ReadOnly);

        (await api.GetAsync($"{Path}/values/k")).Text.Should().Be("v");
        (await api.GetAsync($"{Path}/keys")).Status.Should().Be(HttpStatusCode.OK);
        (await api.PostAsync($"{Path}/bulk/get", """{"keys":["k"]}""")).Status.Should().Be(HttpStatusCode.OK);
        foreach (var path in s_everyPath.Where(path => !path.StartsWith("GET ", StringComparison.Ordinal) && !path.EndsWith("bulk/get", StringComparison.Ordinal)))
        {
            var answer = await SendAsync(api, path);
            answer.Status.Should().Be(HttpStatusCode.Forbidden, path);
            answer.Code.Should().NotBe(10000, "that code is for clients who are not known");
        }

        (await Kv.GetTextAsync("k")).Should().Be("v");
    }

    [Fact]
    public async Task A_token_for_one_namespace_sees_that_one_and_changes_no_namespace()
    {
        var other = await Catalog.CreateAsync("other");
        await Kv.PutAsync("k", "v");
        using var ofOther = new ApiClient(Host.Url, OfOne);
        using var byTitle = new ApiClient(Host.Url, OfTitle);

        foreach (var path in s_everyPath.Where(path => path.Contains("{0}")))
        {
            var refused = await SendAsync(ofOther, path);
            refused.Status.Should().Be(HttpStatusCode.NotFound, path);
            refused.Code.Should().Be(10013, "it is not said that the namespace exists");
        }

        (await ofOther.PutAsync($"namespaces/{other.Id}/values/k", "v")).Status.Should().Be(HttpStatusCode.OK);
        (await ofOther.GetAsync("namespaces")).Result.EnumerateArray().Should().ContainSingle();
        (await ofOther.PostAsync("namespaces", """{"title":"new"}""")).Status.Should().Be(HttpStatusCode.Forbidden);
        (await ofOther.PutAsync($"namespaces/{other.Id}", """{"title":"new"}""")).Status.Should().Be(HttpStatusCode.Forbidden);
        (await ofOther.DeleteAsync($"namespaces/{other.Id}")).Status.Should().Be(HttpStatusCode.Forbidden);
        (await byTitle.GetAsync($"namespaces/{other.Id}/values/k")).Text.Should().Be("v");
        (await byTitle.DeleteAsync($"namespaces/{other.Id}/values/k")).Status.Should().Be(HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task Nothing_is_open_unless_somebody_says_so_and_then_it_is_logged()
    {
        var unsaid = () => TestHost.StartAsync(Catalog, app => app.MapKvApi(_ => { }));
        await unsaid.Should().ThrowAsync<InvalidOperationException>().WithMessage("*AllowAnonymous*");

        using var log = new LogLines();
        await using var open = await TestHost.StartAsync(Catalog, app => app.MapKvApi(api => api.AllowAnonymous()), logging => logging.AddProvider(log));
        using var nobody = new ApiClient(open.Url, token: null);
        (await nobody.PutAsync($"{Path}/values/k", "v")).Status.Should().Be(HttpStatusCode.OK);
        log.Lines.Should().Contain(line => line.StartsWith("Warning") && line.Contains("AllowAnonymous"));
    }

    [Fact]
    public async Task Without_tokens_a_page_with_a_name_of_its_own_gets_nothing()
    {
        await using var open = await TestHost.StartAsync(Catalog, app => app.MapKvApi(api => api.AllowAnonymous().AllowHosts("kv.internal")));
        using var http = new HttpClient();
        foreach (var (host, status) in new[] { ("evil.example", HttpStatusCode.Forbidden), ("kv.internal", HttpStatusCode.OK), ("192.0.2.1:80", HttpStatusCode.OK) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{open.Url}/client/v4/accounts/local/storage/kv/namespaces");
            request.Headers.Host = host;
            (await http.SendAsync(request)).StatusCode.Should().Be(status, host);
        }
    }

    [Fact]
    public async Task Missing_catalog_registration_is_reported()
    {
        await using var app = WebApplication.CreateSlimBuilder().Build();

        var map = () => app.MapKvApi(api => api.AllowAnonymous());

        map.Should().Throw<InvalidOperationException>().WithMessage("*AddKvCatalog*");
    }

    [Fact]
    public void Only_the_hash_of_a_secret_is_kept_and_the_secret_is_accepted()
    {
        var token = KvToken.FromSecret(Secret);

        token.ToHash().Should().Be(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Secret))));
        KvToken.FromHash(token.ToHash()).ToHash().Should().Be(token.ToHash());
        KvToken.NewSecret().Should().HaveLength(43).And.NotBe(KvToken.NewSecret());
    }

    [Theory]
    [InlineData("short")]
    [InlineData("with a space in it, and long")]
    [InlineData("with-ünicode-and-long-enough")]
    public void A_secret_that_cannot_be_sent_or_is_too_short_is_refused(string secret)
    {
        var make = () => KvToken.FromSecret(secret);

        make.Should().Throw<ArgumentException>().Where(e => !e.Message.Contains(secret));
    }

    protected override void Configure(KvApiOptions api)
    {
        base.Configure(api);
        api.AddToken(KvToken.FromSecret(ReadOnly, KvAccess.Read));
        api.AddToken(KvToken.FromSecret(OfOne, KvAccess.ReadWrite, ["other"]));
        api.AddToken(KvToken.FromSecret(OfTitle, KvAccess.Read, ["other"]));
    }

    private Task<ApiClient.Answer> SendAsync(ApiClient api, string path)
    {
        var parts = string.Format(path, Path).Split(' ');
        return api.SendAsync(new HttpMethod(parts[0]), parts[1], parts[0] is "PUT" or "POST" ? new StringContent("""{"title":"x"}""") : null);
    }
}
