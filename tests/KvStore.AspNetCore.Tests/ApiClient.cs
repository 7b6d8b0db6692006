using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests;

/// <summary>Speaks to the REST API as a client without a library does.</summary>
internal sealed class ApiClient : IDisposable
{
    private readonly HttpClient _http;

    public ApiClient(string url, string? token)
    {
        _http = new HttpClient { BaseAddress = new Uri(url + "/client/v4/accounts/local/storage/kv/") };
        _http.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
    }

    public Task<Answer> GetAsync(string path) => SendAsync(HttpMethod.Get, path);

    public Task<Answer> DeleteAsync(string path) => SendAsync(HttpMethod.Delete, path);

    public Task<Answer> PutAsync(string path, string body) => SendAsync(HttpMethod.Put, path, new StringContent(body));

    public Task<Answer> PostAsync(string path, string body) => SendAsync(HttpMethod.Post, path, new StringContent(body));

    public async Task<Answer> SendAsync(HttpMethod method, string path, HttpContent? content = null, params (string Name, string Value)[] headers)
    {
        // Nothing of the path is resolved or escaped on the way.
        var uri = new Uri(
            _http.BaseAddress + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        using var request = new HttpRequestMessage(method, uri) { Content = content };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value).Should().BeTrue();
        }

        using var response = await _http.SendAsync(request);
        return new Answer(response.StatusCode, response.Headers.Concat(response.Content.Headers).ToDictionary(h => h.Key, h => string.Join(',', h.Value), StringComparer.OrdinalIgnoreCase), await response.Content.ReadAsByteArrayAsync());
    }

    public void Dispose() => _http.Dispose();

    /// <summary>What came back.</summary>
    internal sealed record Answer(HttpStatusCode Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
    {
        public string Text => Encoding.UTF8.GetString(Body);

        public JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Body);

        public JsonElement Result => Json.GetProperty("result");

        /// <summary>The message of a failure.</summary>
        public string Message => Json.GetProperty("errors")[0].GetProperty("message").GetString()!;

        /// <summary>The code of a failure, whose envelope must be whole.</summary>
        public int Code
        {
            get
            {
                Json.GetProperty("success").GetBoolean().Should().BeFalse();
                Json.GetProperty("result").ValueKind.Should().Be(JsonValueKind.Null);
                Json.GetProperty("messages").GetArrayLength().Should().Be(0);
                return Json.GetProperty("errors")[0].GetProperty("code").GetInt32();
            }
        }
    }
}
