using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests.Contract;

/// <summary>A namespace behind the REST API.</summary>
internal sealed class RestNamespace : HttpNamespace
{
    private readonly string _base;

    public RestNamespace(KvCatalogEntry entry, string url, string token)
        : base(entry.Title, new Uri(url))
    {
        _base = "/client/v4/accounts/local/storage/kv/namespaces/" + entry.Id;
        Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    protected override async Task<KvValue> GetCoreAsync(string key, int? cacheTtl, CancellationToken cancellationToken)
    {
        RefuseCacheTtl(cacheTtl);

        // Two requests: the API gives the bytes of a value or its metadata.
        using var response = await SendAsync("GET", HttpMethod.Get, $"{_base}/values/{key}", null, IsMissing, cancellationToken);
        using var metadata = response is null ? null : await SendAsync("GET", HttpMethod.Get, $"{_base}/metadata/{key}", null, IsMissing, cancellationToken);
        if (response is null || metadata is null)
        {
            return default;
        }

        var expiration = response.Headers.TryGetValues("expiration", out var seconds)
            ? DateTimeOffset.FromUnixTimeSeconds(long.Parse(seconds.Single(), CultureInfo.InvariantCulture))
            : default(DateTimeOffset?);
        var value = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        var json = await JsonOf(metadata);
        return KvValue.Create(value, KvMetadata.FromJson(json.GetProperty("result").GetRawText()), expiration);
    }

    protected override async Task<IReadOnlyDictionary<string, KvValue>> GetManyCoreAsync(string keys, int? cacheTtl, CancellationToken cancellationToken)
    {
        RefuseCacheTtl(cacheTtl);
        using var body = new StringContent($$"""{"keys":{{keys}},"type":"text","withMetadata":true}""");
        var response = await SendAsync("GET_BULK", HttpMethod.Post, $"{_base}/bulk/get", body, null, cancellationToken);
        var values = new OrderedDictionary<string, KvValue>();
        foreach (var entry in (await JsonOf(response!)).GetProperty("result").GetProperty("values").EnumerateObject())
        {
            values.Add(entry.Name, entry.Value.ValueKind == JsonValueKind.Null
                ? default
                : KvValue.Create(
                    System.Text.Encoding.UTF8.GetBytes(entry.Value.GetProperty("value").GetString()!),
                    KvMetadata.FromJson(entry.Value.GetProperty("metadata").GetRawText()),
                    ExpirationOf(entry.Value)));
        }

        return values;
    }

    protected override async Task PutCoreAsync(string key, string query, KvContent content, KvMetadata metadata, CancellationToken cancellationToken)
    {
        var body = Body(content);
        if (!metadata.IsNull)
        {
            body = new MultipartFormDataContent { { new StringContent(metadata.ToString()), "metadata" }, { body, "value" } };
        }

        using (body)
        {
            (await SendAsync("PUT", HttpMethod.Put, $"{_base}/values/{key}?{query}", body, null, cancellationToken))!.Dispose();
        }
    }

    protected override async Task DeleteCoreAsync(string key, CancellationToken cancellationToken) =>
        (await SendAsync("DELETE", HttpMethod.Delete, $"{_base}/values/{key}", null, null, cancellationToken))!.Dispose();

    protected override async Task<KvListPage> ListCoreAsync(KvListOptions options, CancellationToken cancellationToken)
    {
        var query = Query(("prefix", options.Prefix), ("limit", options.Limit?.ToString(CultureInfo.InvariantCulture)), ("cursor", options.Cursor));
        var response = await SendAsync("GET", HttpMethod.Get, $"{_base}/keys{query}", null, null, cancellationToken);
        var json = await JsonOf(response!);
        var keys = json.GetProperty("result").EnumerateArray().Select(key => new KvListKey(
            key.GetProperty("name").GetString()!,
            ExpirationOf(key),
            key.TryGetProperty("metadata"u8, out var metadata) ? KvMetadata.FromJson(metadata.GetRawText()) : default)).ToList();
        json.GetProperty("result_info").GetProperty("count").GetInt32().Should().Be(keys.Count);
        return new KvListPage(keys, json.GetProperty("result_info").GetProperty("cursor").GetString() is { Length: > 0 } cursor ? cursor : null);
    }

    protected override async Task<KvException> RefusalAsync(string operation, HttpResponseMessage response)
    {
        var status = (int)response.StatusCode;
        var json = await JsonOf(response);
        json.GetProperty("success").GetBoolean().Should().BeFalse();
        return new KvException(status, operation, json.GetProperty("errors")[0].GetProperty("message").GetString()!);
    }

    private static bool IsMissing(HttpResponseMessage response) => response.StatusCode == HttpStatusCode.NotFound;

    private static void RefuseCacheTtl(int? cacheTtl)
    {
        if (cacheTtl is not null)
        {
            throw new NotSupportedException("The REST API has no cache_ttl.");
        }
    }
}
