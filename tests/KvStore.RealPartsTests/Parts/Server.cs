using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace KvStore.RealPartsTests.Parts;

/// <summary>KvServer as a process of its own, on a free port, and a client of it.</summary>
internal sealed partial class Server : IDisposable
{
    private const string Token = "a-token-for-these-tests-only";

    private readonly Process _process;
    private readonly HttpClient _client;

    private Server(Process process, Uri url)
    {
        _process = process;
        Url = url;
        _client = new HttpClient { BaseAddress = new Uri(url, "/client/v4/accounts/local/storage/kv/"), Timeout = TimeSpan.FromSeconds(20) };
        _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
    }

    public Uri Url { get; }

    /// <summary>Starts it.</summary>
    /// <param name="directory">Where its data is.</param>
    /// <param name="descriptors">How many descriptors it may have; 0 for as many as there are.</param>
    /// <param name="environment">More of its environment.</param>
    /// <returns>Null when it ended before it listened, which it may when its disk fails.</returns>
    public static async Task<Server?> TryStartAsync(string directory, int descriptors = 0, params (string Name, string Value)[] environment)
    {
        var server = Path.Combine(AppContext.BaseDirectory, "KvServer.dll");
        var dotnet = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        var limit = descriptors > 0 ? $"ulimit -n {descriptors} && " : "";
        var start = new ProcessStartInfo("/bin/bash", ["-c", $"{limit}exec '{dotnet}' '{server}' --urls http://127.0.0.1:0 --binding-url http://127.0.0.1:0 --data '{directory}'"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.Environment["KVSTORE_TOKEN"] = Token;
        start.Environment["KVSTORE_BINDING_SECRET"] = "a-secret-for-these-tests-only";
        start.Environment["Logging__LogLevel__Default"] = "None";
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start)!;
        _ = process.StandardError.BaseStream.CopyToAsync(Stream.Null);
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (ListensOn().Match(line) is { Success: true } match)
            {
                _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
                return new Server(process, new Uri(match.Groups[1].Value.Trim()));
            }
        }

        process.WaitForExit();
        process.Dispose();
        return null;
    }

    public static async Task<Server> StartAsync(string directory, int descriptors = 0, params (string Name, string Value)[] environment) =>
        await TryStartAsync(directory, descriptors, environment) ?? throw new InvalidOperationException("KvServer ended before it listened.");

    /// <summary>The namespace of these tests, made when it is not there.</summary>
    public async Task<string?> NamespaceAsync()
    {
        using var made = await SendAsync(HttpMethod.Post, "namespaces", new StringContent("""{"title":"real"}""", Encoding.UTF8, "application/json"));
        using var listed = await SendAsync(HttpMethod.Get, "namespaces");
        if (listed?.IsSuccessStatusCode != true)
        {
            return null;
        }

        using var json = JsonDocument.Parse(await listed.Content.ReadAsStringAsync());
        return json.RootElement.GetProperty("result").EnumerateArray()
            .Where(item => item.GetProperty("title").GetString() == "real")
            .Select(item => item.GetProperty("id").GetString())
            .FirstOrDefault();
    }

    /// <returns>The status; 0 when there was no answer.</returns>
    public async Task<int> PutAsync(string id, string key, byte[] value, int ttl = 0)
    {
        var query = ttl > 0 ? string.Create(CultureInfo.InvariantCulture, $"?expiration_ttl={ttl}") : "";
        using var response = await SendAsync(HttpMethod.Put, $"namespaces/{id}/values/{Uri.EscapeDataString(key)}{query}", new ByteArrayContent(value));
        return (int?)response?.StatusCode ?? 0;
    }

    /// <returns>The status; 0 when there was no answer.</returns>
    public async Task<int> StatusOfGetAsync(string id, string key)
    {
        using var response = await SendAsync(HttpMethod.Get, $"namespaces/{id}/values/{Uri.EscapeDataString(key)}");
        return (int?)response?.StatusCode ?? 0;
    }

    /// <returns>The value; null when there is none.</returns>
    public async Task<byte[]?> GetAsync(string id, string key)
    {
        using var response = await SendAsync(HttpMethod.Get, $"namespaces/{id}/values/{Uri.EscapeDataString(key)}")
            ?? throw new InvalidOperationException("There is no answer.");
        return response.StatusCode == System.Net.HttpStatusCode.NotFound
            ? null
            : await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync();
    }

    public void Dispose()
    {
        _client.Dispose();
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private async Task<HttpResponseMessage?> SendAsync(HttpMethod method, string path, HttpContent? content = null)
    {
        try
        {
            using var request = new HttpRequestMessage(method, path) { Content = content };
            return await _client.SendAsync(request);
        }
        catch (HttpRequestException)
        {
            return null;
        }
        catch (TaskCanceledException e)
        {
            throw new InvalidOperationException($"{method} {path} was never answered.", e);
        }
    }

    [GeneratedRegex("KvServer listens on (http://[^ ]+)")]
    private static partial Regex ListensOn();
}
