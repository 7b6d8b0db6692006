using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests.Contract;

/// <summary>
/// A namespace at the other end of a real connection, as the runtime is one to a Worker: it checks what the runtime checks itself
/// (the shape of keys, and that seconds fit 32 bits) and leaves all else to the server, whose refusals become exceptions again.
/// </summary>
internal abstract class HttpNamespace(string name, Uri server) : IKvNamespace, IDisposable
{
    // From here on the client asks first: a refusal then comes before the body is sent, and is not lost when the server hangs up.
    private const int AskFirstBytes = 1024 * 1024;

    private static readonly JsonDocumentOptions s_deep = new() { MaxDepth = 2000 };

    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        Expect100ContinueTimeout = TimeSpan.FromMinutes(1),

        // As the runtime sends metadata.
        RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
    });

    public string Name => name;

    /// <summary>What is sent with every request.</summary>
    protected System.Net.Http.Headers.HttpRequestHeaders Headers => _http.DefaultRequestHeaders;

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        var cacheTtl = Seconds(options?.CacheTtl);
        CheckKey(key);
        cancellationToken.ThrowIfCancellationRequested();
        return new(GetCoreAsync(PercentEncode(key), cacheTtl, cancellationToken));
    }

    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(keys);
        var cacheTtl = Seconds(options?.CacheTtl);
        var list = "[" + string.Join(',', keys.Select(key => ToJson(key ?? throw new ArgumentNullException(nameof(keys))))) + "]";
        cancellationToken.ThrowIfCancellationRequested();
        return new(GetManyCoreAsync(list, cacheTtl, cancellationToken));
    }

    public ValueTask PutAsync(string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default)
    {
        var ttl = options?.ExpirationTtl?.Ticks / TimeSpan.TicksPerSecond;
        var expiration = options?.Expiration?.ToUnixTimeSeconds();
        CheckKey(key);
        cancellationToken.ThrowIfCancellationRequested();
        string[] query =
        [
            .. ttl is { } seconds ? [string.Create(CultureInfo.InvariantCulture, $"expiration_ttl={seconds}")] : Array.Empty<string>(),
            .. expiration is { } at ? [string.Create(CultureInfo.InvariantCulture, $"expiration={at}")] : Array.Empty<string>(),
        ];
        return new(PutCoreAsync(PercentEncode(key), string.Join('&', query), content, options?.Metadata ?? default, cancellationToken));
    }

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        CheckKey(key);
        cancellationToken.ThrowIfCancellationRequested();
        return new(DeleteCoreAsync(PercentEncode(key), cancellationToken));
    }

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new(ListCoreAsync(options ?? new KvListOptions(), cancellationToken));
    }

    public void Dispose() => _http.Dispose();

    protected abstract Task<KvValue> GetCoreAsync(string key, int? cacheTtl, CancellationToken cancellationToken);

    protected abstract Task<IReadOnlyDictionary<string, KvValue>> GetManyCoreAsync(string keys, int? cacheTtl, CancellationToken cancellationToken);

    protected abstract Task PutCoreAsync(string key, string query, KvContent content, KvMetadata metadata, CancellationToken cancellationToken);

    protected abstract Task DeleteCoreAsync(string key, CancellationToken cancellationToken);

    protected abstract Task<KvListPage> ListCoreAsync(KvListOptions options, CancellationToken cancellationToken);

    /// <summary>What the server says of a request that it refuses.</summary>
    protected abstract Task<KvException> RefusalAsync(string operation, HttpResponseMessage response);

    /// <summary>Sends a request, which must not be refused.</summary>
    /// <returns>The answer; null when the key is missing.</returns>
    protected async Task<HttpResponseMessage?> SendAsync(
        string operation, HttpMethod method, string target, HttpContent? content, Func<HttpResponseMessage, bool>? isMissing, CancellationToken cancellationToken)
    {
        // Nothing of the path is resolved or escaped on the way.
        var uri = new Uri(server.GetLeftPart(UriPartial.Authority) + target, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        using var request = new HttpRequestMessage(method, uri) { Content = content };
        request.Headers.ExpectContinue = content is not null && content.Headers.ContentLength is null or >= AskFirstBytes;
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException) when (SourceOf(content)?.Failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
            throw;
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            return isMissing?.Invoke(response) == true ? null : throw await RefusalAsync(operation, response);
        }
    }

    protected static async Task<JsonElement> JsonOf(HttpResponseMessage response)
    {
        using (response)
        {
            using var json = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(), s_deep);
            return json.RootElement.Clone();
        }
    }

    protected static HttpContent Body(KvContent content) =>
        content.IsStreamed ? new SourceContent(content.Stream ?? content.Pipe!.AsStream(leaveOpen: true))
        : content.Text is { } text ? new ByteArrayContent(Encoding.UTF8.GetBytes(text))
        : new ReadOnlyMemoryContent(content.Bytes);

    protected static DateTimeOffset? ExpirationOf(JsonElement entry) =>
        entry.TryGetProperty("expiration"u8, out var seconds) ? DateTimeOffset.FromUnixTimeSeconds(seconds.GetInt64()) : null;

    protected static string Query(params (string Name, string? Value)[] parameters)
    {
        var given = parameters.Where(parameter => parameter.Value is not null).Select(parameter => $"{parameter.Name}={PercentEncode(parameter.Value!)}");
        return string.Join('&', given) is { Length: > 0 } query ? "?" + query : "";
    }

    /// <summary>Percent-encodes text; half of a surrogate pair becomes the three bytes that the runtime makes of it.</summary>
    protected static string PercentEncode(string text)
    {
        var encoded = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            var length = i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]) ? 2 : 1;
            encoded.Append(length == 1 && char.IsSurrogate(text[i])
                ? $"%ED%{0x80 | ((text[i] >> 6) & 0x3F):X2}%{0x80 | (text[i] & 0x3F):X2}"
                : Uri.EscapeDataString(text.AsSpan(i, length)));
            i += length - 1;
        }

        return encoded.ToString();
    }

    // As JSON.stringify writes it: half of a surrogate pair is an escape.
    private static string ToJson(string text) => string.Concat(
        text.Select(unit => unit is >= ' ' and <= '~' and not ('"' or '\\') ? unit.ToString() : $"\\u{(int)unit:x4}").Prepend("\"").Append("\""));

    private static SourceContent? SourceOf(HttpContent? content) => content switch
    {
        SourceContent source => source,
        MultipartContent parts => parts.OfType<SourceContent>().SingleOrDefault(),
        _ => null,
    };

    private static void CheckKey(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (key is "" or "." or "..")
        {
            throw new ArgumentException(key == "" ? "Key name cannot be empty." : $"\"{key}\" is not allowed as a key name.", nameof(key));
        }
    }

    private static int? Seconds(TimeSpan? span)
    {
        if (span is not { } given)
        {
            return null;
        }

        var seconds = given.Ticks / TimeSpan.TicksPerSecond;
        return seconds is >= int.MinValue and <= int.MaxValue
            ? (int)seconds
            : throw new ArgumentException("Value out of range. Must be between -2147483648 and 2147483647 (inclusive).", nameof(span));
    }
}
