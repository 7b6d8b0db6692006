using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests;

/// <summary>What the Workers runtime is answered, seen from the wire. What it makes of it, RuntimeVectorTests show.</summary>
public sealed class BindingTests : IAsyncLifetime
{
    private const string Secret = "the-secret-of-the-runtime";

    private KvNamespaceCatalog _catalog = null!;
    private KvCatalogEntry _entry = null!;
    private TestHost _loopback = null!;
    private TestHost _secret = null!;

    public async Task InitializeAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync();
        _entry = await _catalog.CreateAsync("bound");
        _loopback = await TestHost.StartAsync(_catalog, app => app.MapKvBinding());
        _secret = await TestHost.StartAsync(_catalog, app => app.MapKvBinding(options => options
            .AddSecret(KvToken.FromSecret(Secret))
            .AddSecret(KvToken.FromSecret("reads-only-and-no-more", KvAccess.Read))
            .AddSecret(KvToken.FromSecret("is-for-another-namespace", KvAccess.ReadWrite, ["other"]))));
    }

    public async Task DisposeAsync()
    {
        await _loopback.DisposeAsync();
        await _secret.DisposeAsync();
        await _catalog.DisposeAsync();
    }

    [Fact]
    public async Task A_value_its_metadata_and_its_expiration_are_put_read_and_listed()
    {
        var put = await SendAsync(_loopback, HttpMethod.Put, "/a%2Fb+c?urlencoded=true&expiration_ttl=3600", metadata: "{\"é\":\"😀\"}", body: "value");
        put.StatusCode.Should().Be(HttpStatusCode.OK);

        (await _entry.Namespace.GetTextAsync("a/b+c")).Should().Be("value");
        var get = await SendAsync(_loopback, HttpMethod.Get, "/a%2Fb+c?urlencoded=true&cache_ttl=30");
        (await get.Content.ReadAsStringAsync()).Should().Be("value");
        get.Headers.GetValues("CF-KV-Metadata").Single().Should().Be("""{"\u00e9":"\ud83d\ude00"}""");

        var list = await SendAsync(_loopback, HttpMethod.Get, "/?prefix=a%2Fb%2Bc&key_count_limit=1");
        var page = JsonSerializer.Deserialize<JsonElement>(await list.Content.ReadAsByteArrayAsync());
        page.GetProperty("list_complete").GetBoolean().Should().BeTrue();
        page.GetProperty("keys")[0].GetProperty("metadata").GetString().Should().Be("{\"é\":\"😀\"}", "the runtime parses the text");
        (await SendAsync(_loopback, HttpMethod.Get, "/?prefix=a%2Fb+c")).StatusCode.Should().Be(HttpStatusCode.OK, "a plus in a query is a space");

        (await SendAsync(_loopback, HttpMethod.Delete, "/a%2Fb+c?urlencoded=true")).StatusCode.Should().Be(HttpStatusCode.OK);
        (await SendAsync(_loopback, HttpMethod.Get, "/a%2Fb+c?urlencoded=true")).StatusCode.Should().Be(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Bulk_get_is_a_path_and_the_same_text_escaped_is_a_key()
    {
        await _entry.Namespace.PutAsync("bulk/get", "a key");

        (await (await SendAsync(_loopback, HttpMethod.Get, "/bulk%2Fget")).Content.ReadAsStringAsync()).Should().Be("a key");
        var many = await SendAsync(_loopback, HttpMethod.Post, "/bulk/get", body: """{"keys":["bulk/get","missing"],"withMetadata":true,"cacheTtl":"60"}""");
        (await many.Content.ReadAsStringAsync()).Should().Be("""{"bulk/get":{"value":"a key","metadata":null},"missing":null}""");
    }

    [Theory]
    [InlineData("PUT", "/k?expiration_ttl=", 400, "Invalid expiration_ttl of \"\". Please specify integer greater than 0.")]
    [InlineData("PUT", "/k?expiration_ttl=30", 400, "Invalid expiration_ttl of 30. Expiration TTL must be at least 60.")]
    [InlineData("GET", "/k?cache_ttl=10", 400, "Invalid cache_ttl of 10. Cache TTL must be at least 30.")]
    [InlineData("GET", "/%ED%A0%80", 400, "Could not URL-decode key name")]
    [InlineData("GET", "/%FF", 400, "Could not URL-decode key name")]
    [InlineData("GET", "/?key_count_limit=1001", 400, "Invalid key_count_limit of 1001. Please specify an integer less than 1000.")]
    [InlineData("GET", "/?cursor=junk", 400, "Invalid cursor. Please specify the cursor of the page before, as it was returned.")]
    [InlineData("POST", "/bulk/get", 400, "The body must be JSON: {\"keys\": [...]}, where each key is a text.")]
    [InlineData("POST", "/k", 405, "Method Not Allowed")]
    [InlineData("OPTIONS", "/k", 405, "Method Not Allowed")]
    public async Task The_text_of_an_error_travels_in_the_reason_phrase_and_the_body_is_empty(string method, string path, int status, string reason)
    {
        var answer = await SendAsync(_loopback, new HttpMethod(method), path, body: method is "PUT" or "POST" ? "v" : null);

        ((int)answer.StatusCode).Should().Be(status);
        answer.ReasonPhrase.Should().Be(reason);
        answer.Content.Headers.ContentLength.Should().Be(0);

        // The connection goes on.
        (await SendAsync(_loopback, HttpMethod.Put, "/k", body: "v")).StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task The_namespace_must_be_named_by_id_or_title()
    {
        (await SendAsync(_loopback, HttpMethod.Put, "/k", body: "v", name: _entry.Id)).StatusCode.Should().Be(HttpStatusCode.OK);
        (await SendAsync(_loopback, HttpMethod.Get, "/k", name: "unknown")).StatusCode.Should().Be(HttpStatusCode.BadRequest, "404 would read as a missing key");
        (await SendAsync(_loopback, HttpMethod.Get, "/k", name: null)).StatusCode.Should().Be(HttpStatusCode.BadRequest);
    }

    [Theory]
    [InlineData(null, "GET", HttpStatusCode.Unauthorized)]
    [InlineData("another-secret-of-the-runtime", "GET", HttpStatusCode.Unauthorized)]
    [InlineData(Secret, "GET", HttpStatusCode.NotFound)]
    [InlineData(Secret, "PUT", HttpStatusCode.OK)]
    [InlineData("reads-only-and-no-more", "GET", HttpStatusCode.NotFound)]
    [InlineData("reads-only-and-no-more", "PUT", HttpStatusCode.Forbidden)]
    [InlineData("reads-only-and-no-more", "DELETE", HttpStatusCode.Forbidden)]
    [InlineData("is-for-another-namespace", "GET", HttpStatusCode.BadRequest)]
    public async Task Endpoint_with_a_secret_answers_only_requests_that_have_it(string? secret, string method, HttpStatusCode status) =>
        (await SendAsync(_secret, new HttpMethod(method), "/k", body: method == "PUT" ? "v" : null, secret: secret)).StatusCode.Should().Be(status);

    [Theory]
    [InlineData("X-Forwarded-For")]
    [InlineData("Forwarded")]
    public async Task Request_without_a_secret_through_a_proxy_on_loopback_is_refused(string header)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, _loopback.Url + "/k");
        request.Headers.Add("X-Namespace", "bound");
        request.Headers.Add(header, "for=203.0.113.7");

        (await http.SendAsync(request)).StatusCode.Should().Be(HttpStatusCode.Unauthorized);
    }

    [Theory]
    [InlineData("evil.example", HttpStatusCode.Forbidden)]
    [InlineData("evil.example:8788", HttpStatusCode.Forbidden)]
    [InlineData("127.0.0.1.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("localhost.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("192.0.2.1", HttpStatusCode.Forbidden)]
    [InlineData("fake-host", HttpStatusCode.NotFound)]
    [InlineData("localhost:8788", HttpStatusCode.NotFound)]
    [InlineData("LOCALHOST.", HttpStatusCode.NotFound)]
    [InlineData("127.8.8.8", HttpStatusCode.NotFound)]
    [InlineData("[::1]:8788", HttpStatusCode.NotFound)]
    public async Task Without_a_secret_only_names_of_the_loopback_are_answered(string host, HttpStatusCode status) =>
        (await SendFromAsync(_loopback, host)).Should().Be(status);

    [Theory]
    [InlineData("Origin", "http://127.0.0.1")]
    [InlineData("Sec-Fetch-Site", "same-origin")]
    [InlineData("Via", "1.1 proxy")]
    [InlineData("X-Real-IP", "203.0.113.7")]
    public async Task Without_a_secret_what_a_browser_or_a_proxy_sends_is_refused(string header, string value) =>
        (await SendFromAsync(_loopback, "127.0.0.1", (header, value))).Should().Be(HttpStatusCode.Unauthorized);

    [Fact]
    public async Task With_a_secret_every_name_is_answered() =>
        (await SendFromAsync(_secret, "kv.example", ("Authorization", "Bearer " + Secret), ("X-Forwarded-For", "203.0.113.7"))).Should().Be(HttpStatusCode.NotFound);

    [Fact]
    public async Task A_name_that_was_added_is_answered_and_an_open_endpoint_takes_addresses()
    {
        await using var added = await TestHost.StartAsync(_loopback.Catalog, app => app.MapKvBinding(options => options.AllowHosts("kv.internal")));
        await using var open = await TestHost.StartAsync(_loopback.Catalog, app => app.MapKvBinding(options => options.AllowAnonymous()));

        (await SendFromAsync(added, "kv.internal:80")).Should().Be(HttpStatusCode.NotFound);
        (await SendFromAsync(added, "evil.example")).Should().Be(HttpStatusCode.Forbidden);
        (await SendFromAsync(open, "192.0.2.1")).Should().Be(HttpStatusCode.NotFound);
        (await SendFromAsync(open, "evil.example")).Should().Be(HttpStatusCode.Forbidden);
        var bad = () => new KvBindingOptions().AllowHosts("http://kv.internal");
        bad.Should().Throw<ArgumentException>().WithMessage("*without scheme*");
    }

    private static async Task<HttpStatusCode> SendFromAsync(TestHost server, string host, params (string Name, string Value)[] headers)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, server.Url + "/missing");
        request.Headers.Host = host;
        request.Headers.Add("X-Namespace", "bound");
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        return (await http.SendAsync(request)).StatusCode;
    }

    private static async Task<HttpResponseMessage> SendAsync(
        TestHost host, HttpMethod method, string path, string? metadata = null, string? body = null, string? name = "bound", string? secret = null)
    {
        using var handler = new SocketsHttpHandler { RequestHeaderEncodingSelector = (_, _) => Encoding.UTF8 };
        using var http = new HttpClient(handler);
        using var request = new HttpRequestMessage(
            method, new Uri(host.Url + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        request.Content = body is null ? null : new StringContent(body);
        if (name is not null)
        {
            request.Headers.Add("X-Namespace", name);
        }

        if (metadata is not null)
        {
            request.Headers.TryAddWithoutValidation("CF-KV-Metadata", metadata);
        }

        request.Headers.Authorization = secret is null ? null : new AuthenticationHeaderValue("Bearer", secret);
        var response = await http.SendAsync(request);
        await response.Content.LoadIntoBufferAsync();
        return response;
    }
}
