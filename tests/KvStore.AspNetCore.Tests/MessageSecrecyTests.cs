using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using KvStore.Dashboard.Tests;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;

namespace KvStore.AspNetCore.Tests;

/// <summary>No answer to a failed request, and no line of the log, holds content of a request's body, of a value or of a file.</summary>
public sealed class MessageSecrecyTests : IAsyncLifetime
{
    private const string Token = "a-token-of-enough-length";

    private readonly LogLines _log = new();
    private readonly List<string> _leaks = [];
    private readonly HttpClient _http = new();
    private KvNamespaceCatalog _catalog = null!;
    private KvCatalogEntry _entry = null!;
    private int _failures;

    public async Task InitializeAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions());
        _entry = await _catalog.CreateAsync("tested");
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        _http.DefaultRequestHeaders.Add("X-User", DashboardHost.Owner);
        _http.DefaultRequestHeaders.Add("X-Namespace", _entry.Id);
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _catalog.DisposeAsync();
    }

    [Theory]
    [InlineData("POST", "", """{"title":"secret","secret":["secret"]}""")]
    [InlineData("PUT", "/{id}", """{"title":"secret","secret":["secret"]}""")]
    [InlineData("PUT", "/{id}/bulk", """[{"key":"secret","value":"secret","base64":true,"metadata":{"secret":1},"expiration":"secret"},{"key":1}]""")]
    [InlineData("POST", "/{id}/bulk/delete", """["secret",{"name":"secret"},1]""")]
    [InlineData("DELETE", "/{id}/bulk", """["secret",{"name":"secret"},1]""")]
    [InlineData("POST", "/{id}/bulk/get", """{"keys":["secret","secret"],"type":"secret","withMetadata":"secret"}""")]
    public async Task A_body_of_the_REST_API_is_not_quoted(string method, string path, string body)
    {
        await using var host = await StartAsync(app => app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Token))));
        var url = $"{host.Url}/client/v4/accounts/local/storage/kv/namespaces{path.Replace("{id}", _entry.Id, StringComparison.Ordinal)}";

        foreach (var broken in Sample(Secrets.BrokenBytes(body)))
        {
            await SendAsync(method, url, new ByteArrayContent(broken));
            foreach (var created in _catalog.Entries.Where(entry => entry.Id != _entry.Id).ToList())
            {
                await _catalog.DeleteAsync(created.Id);
            }
        }

        Verify();
    }

    [Theory]
    [InlineData("--b\r\nContent-Disposition: form-data; name=\"value\"\r\nsecret\r\n\r\nsecret\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"secret\":secret}\r\n--b--\r\n")]
    [InlineData("secret\r\n--b\r\nsecret: secret\r\nContent-Disposition: secret; secret=\"secret\r\n\r\nsecret\r\n--b\r\nsecret")]
    public async Task A_multipart_body_is_not_quoted(string body)
    {
        await using var host = await StartAsync(app => app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Token))));
        await using var dashboard = await DashboardHost.StartAsync(_catalog, TimeProvider.System, log: _log);

        foreach (var broken in Sample(Secrets.BrokenBytes(body)))
        {
            foreach (var (method, url) in new[]
            {
                ("PUT", $"{host.Url}/client/v4/accounts/local/storage/kv/namespaces/{_entry.Id}/values/k"),
                ("POST", $"{dashboard.Url}/dashboard/ns/{_entry.Id}/import"),
                ("POST", $"{dashboard.Url}/dashboard/ns/{_entry.Id}/edit?key=k"),
            })
            {
                var content = new ByteArrayContent(broken);
                content.Headers.TryAddWithoutValidation("Content-Type", "multipart/form-data; boundary=b");
                await SendAsync(method, url, content);
            }
        }

        Verify();
    }

    [Fact]
    public async Task A_bulk_get_of_the_runtime_is_not_quoted()
    {
        await using var host = await StartAsync(app => app.MapKvBinding(options => options.AddSecret(KvToken.FromSecret(Token))));

        foreach (var broken in Sample(Secrets.BrokenBytes("""{"keys":["secret","secret"],"type":"secret","cacheTtl":"secret"}""")))
        {
            await SendAsync("POST", $"{host.Url}/bulk/get", new ByteArrayContent(broken));
        }

        Verify();
    }

    [Fact]
    public async Task Metadata_of_the_runtime_is_not_quoted()
    {
        await using var host = await StartAsync(app => app.MapKvBinding(options => options.AddSecret(KvToken.FromSecret(Token))));

        foreach (var broken in Secrets.Broken("""{"secret":["secret",true]}""").Where(text => !text.Contains('\n')))
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, $"{host.Url}/k") { Content = new StringContent("v") };
            request.Headers.TryAddWithoutValidation("CF-KV-Metadata", broken);
            await SendAsync(request);
        }

        Verify();
    }

    [Theory]
    [InlineData("text")]
    [InlineData("json")]
    public async Task A_stored_value_is_not_quoted(string type)
    {
        await using var api = await StartAsync(app => app.MapKvApi(options => options.AddToken(KvToken.FromSecret(Token))));
        await using var binding = await StartAsync(app => app.MapKvBinding(options => options.AddSecret(KvToken.FromSecret(Token))));
        foreach (var broken in Sample(Secrets.BrokenBytes("""{"secret":["secret",true]}""")))
        {
            await _entry.Namespace.PutAsync("k", broken);
            var body = $$"""{"keys":["k"],"type":"{{type}}"}""";
            await SendAsync("POST", $"{api.Url}/client/v4/accounts/local/storage/kv/namespaces/{_entry.Id}/bulk/get", new StringContent(body));
            await SendAsync("POST", $"{binding.Url}/bulk/get", new StringContent(body));
        }

        Verify(mustFail: type == "json");
    }

    [Fact]
    public async Task A_damaged_catalogue_is_not_quoted()
    {
        const string Catalogue = """{"version":1,"namespaces":[{"id":"0123456789abcdef0123456789abcdef","title":"secret"},{"id":"secret","title":1}],"deleting":["secret"]}""";
        var directory = Directory.CreateTempSubdirectory("kvstore-catalogue-").FullName;
        try
        {
            foreach (var broken in Sample(Secrets.BrokenBytes(Catalogue)))
            {
                await File.WriteAllBytesAsync(Path.Combine(directory, "catalog.json"), broken);
                try
                {
                    await using var catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { Directory = directory });
                }
                catch (Exception e)
                {
                    _failures++;
                    Note(Secrets.LeakIn(e));
                }
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        Verify();
    }

    // A seventh of them: the ways to break a text take turns, and 7 does not divide their number.
    private static IEnumerable<byte[]> Sample(IEnumerable<byte[]> all) => all.Where((_, i) => i % 7 == 0);

    private Task<TestHost> StartAsync(Action<WebApplication> map) => TestHost.StartAsync(_catalog, map, logging => logging.AddProvider(_log));

    private async Task SendAsync(string method, string url, HttpContent content)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), url) { Content = content };
        await SendAsync(request);
    }

    private async Task SendAsync(HttpRequestMessage request)
    {
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        response.StatusCode.Should().NotBe(HttpStatusCode.NotFound, "the request must come to where it is read");
        if (!response.IsSuccessStatusCode)
        {
            _failures++;

            // The text of the binding, as recorded, which names the type that was asked for.
            if (!$"{response.ReasonPhrase}{text}".Contains("is not a valid type", StringComparison.Ordinal))
            {
                Note(Secrets.LeakIn($"{response.ReasonPhrase}\n{response.Headers}\n{text}"));
            }
        }
        else if (text.Contains("\"reasons\"", StringComparison.Ordinal))
        {
            // The keys are named; that is what the answer is for.
            Note(Secrets.LeakIn(JsonDocument.Parse(text).RootElement.GetProperty("result").GetProperty("reasons").GetRawText()));
        }
    }

    private void Note(string? leak)
    {
        if (leak is not null)
        {
            _leaks.Add(leak);
        }
    }

    private void Verify(bool mustFail = true)
    {
        _leaks.Take(3).Should().BeEmpty();
        (_failures > 0).Should().Be(mustFail);
        _log.Lines.Where(line => Secrets.LeakIn(line) is not null).Take(3).Should().BeEmpty();
    }
}
