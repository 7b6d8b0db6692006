using System.Globalization;
using System.Net;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests.Contract;

/// <summary>A namespace behind the endpoint of the Workers runtime, spoken to as the runtime does.</summary>
internal sealed class BindingNamespace : HttpNamespace
{
    private const string MetadataHeader = "CF-KV-Metadata";

    public BindingNamespace(KvCatalogEntry entry, string url)
        : base(entry.Title, new Uri(url)) => Headers.Add("X-Namespace", entry.Id);

    protected override async Task<KvValue> GetCoreAsync(string key, int? cacheTtl, CancellationToken cancellationToken)
    {
        var ttl = cacheTtl is { } seconds ? string.Create(CultureInfo.InvariantCulture, $"&cache_ttl={seconds}") : "";
        using var response = await SendAsync("GET", HttpMethod.Get, $"/{key}?urlencoded=true{ttl}", null, IsMissing, cancellationToken);
        return response is null
            ? default
            : KvValue.Create(
                await response.Content.ReadAsByteArrayAsync(cancellationToken),
                response.Headers.TryGetValues(MetadataHeader, out var metadata) ? Parsed(metadata.Single()) : default);
    }

    protected override async Task<IReadOnlyDictionary<string, KvValue>> GetManyCoreAsync(string keys, int? cacheTtl, CancellationToken cancellationToken)
    {
        var ttl = cacheTtl is { } seconds ? string.Create(CultureInfo.InvariantCulture, $",\"cacheTtl\":\"{seconds}\"") : "";
        using var body = new StringContent($$"""{"keys":{{keys}},"withMetadata":true{{ttl}}}""");
        var response = await SendAsync("GET_BULK", HttpMethod.Post, "/bulk/get", body, null, cancellationToken);
        var values = new OrderedDictionary<string, KvValue>();
        foreach (var entry in (await JsonOf(response!)).EnumerateObject())
        {
            values.Add(entry.Name, entry.Value.ValueKind == JsonValueKind.Null
                ? default
                : KvValue.Create(
                    System.Text.Encoding.UTF8.GetBytes(entry.Value.GetProperty("value").GetString()!),
                    KvMetadata.FromJson(entry.Value.GetProperty("metadata").GetRawText())));
        }

        return values;
    }

    protected override async Task PutCoreAsync(string key, string query, KvContent content, KvMetadata metadata, CancellationToken cancellationToken)
    {
        using var body = Body(content);
        if (!metadata.IsNull)
        {
            // A content header or a request header: on the wire they are one.
            body.Headers.Add(MetadataHeader, Stringified(metadata).ToString());
        }

        (await SendAsync("PUT", HttpMethod.Put, $"/{key}?urlencoded=true&{query}", body, null, cancellationToken))!.Dispose();
    }

    protected override async Task DeleteCoreAsync(string key, CancellationToken cancellationToken) =>
        (await SendAsync("DELETE", HttpMethod.Delete, $"/{key}?urlencoded=true", null, null, cancellationToken))!.Dispose();

    protected override async Task<KvListPage> ListCoreAsync(KvListOptions options, CancellationToken cancellationToken)
    {
        var query = Query(
            ("key_count_limit", options.Limit?.ToString(CultureInfo.InvariantCulture)), ("prefix", options.Prefix), ("cursor", options.Cursor));
        var response = await SendAsync("GET", HttpMethod.Get, "/" + query, null, null, cancellationToken);
        var json = await JsonOf(response!);
        var keys = json.GetProperty("keys").EnumerateArray().Select(key => new KvListKey(
            key.GetProperty("name").GetString()!,
            ExpirationOf(key),
            key.TryGetProperty("metadata"u8, out var metadata) ? Parsed(metadata.GetString()!) : default)).ToList();
        var cursor = json.TryGetProperty("cursor"u8, out var next) ? next.GetString() : null;
        json.GetProperty("list_complete").GetBoolean().Should().Be(cursor is null);
        return new KvListPage(keys, cursor);
    }

    // The runtime reads no body with an error.
    protected override Task<KvException> RefusalAsync(string operation, HttpResponseMessage response)
    {
        response.Content.Headers.ContentLength.Should().Be(0);
        return Task.FromResult(new KvException((int)response.StatusCode, operation, response.ReasonPhrase!));
    }

    private static bool IsMissing(HttpResponseMessage response) => response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Gone;

    // The runtime parses what it gets and stringifies what it sends: escapes become characters.
    private static KvMetadata Parsed(string json) => Stringified(KvMetadata.FromJson(json));

    private static KvMetadata Stringified(KvMetadata metadata) => KvMetadata.FromJson(ReferenceJson.Stringify(metadata.Utf8Json));
}
