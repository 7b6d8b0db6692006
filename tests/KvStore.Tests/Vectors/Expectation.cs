using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>Compares what an operation answered with what was recorded.</summary>
internal static class Expectation
{
    /// <summary>What differs, or null when nothing does.</summary>
    public static string? Mismatch(JsonElement expected, Observed actual, RecordedTimes times)
    {
        var (kind, value) = (expected.EnumerateObject().First().Name, expected.EnumerateObject().First().Value);
        var matches = (kind, actual) switch
        {
            ("void", Observed.Nothing) => true,
            ("null", Observed.Null) => true,
            ("text", Observed.Text read) => MatchesText(value, read.Value),
            ("bytes", Observed.Bytes read) => MatchesBytes(value, read.Value),
            ("stream", Observed.Stream read) => MatchesBytes(value, read.Value),
            ("json", Observed.Json read) => RecordedJson.Matches(value, read.Value),
            ("json_text", Observed.Json read) => value.GetString() == read.Value.GetRawText(),
            ("entry", Observed.Entry read) => MatchesEntry(value, read, times),
            ("map", Observed.Map read) => MatchesMap(value, read, times),
            ("page", Observed.Pages read) => read.Value.Count == 1 && MatchesPage(value, read.Value[0], times),
            ("pages", Observed.Pages read) => value.GetArrayLength() == read.Value.Count
                && value.EnumerateArray().Zip(read.Value).All(pair => MatchesPage(pair.First, pair.Second, times)),
            ("error", Observed.Error read) => MatchesError(value, read.Exception, times),
            _ => false,
        };

        return matches ? null : $"expected {Shorten(expected.GetRawText())} but got {Shorten(Describe(actual))}";
    }

    private static bool MatchesText(JsonElement expected, string text)
    {
        if (expected.ValueKind == JsonValueKind.Object && expected.TryGetProperty("$sha256", out var hash))
        {
            return MatchesHash(expected, hash, Encoding.UTF8.GetBytes(text));
        }

        return Literal.Text(expected) == text;
    }

    private static bool MatchesBytes(JsonElement expected, byte[] bytes) => expected.TryGetProperty("$sha256", out var hash)
        ? MatchesHash(expected, hash, bytes)
        : Literal.Bytes(expected).AsSpan().SequenceEqual(bytes);

    private static bool MatchesHash(JsonElement expected, JsonElement hash, byte[] bytes)
    {
        var length = expected.TryGetProperty("length", out var bytesLength) ? bytesLength : expected.GetProperty("utf8_length");
        return length.GetInt32() == bytes.Length
            && string.Equals(hash.GetString(), Convert.ToHexString(SHA256.HashData(bytes)), StringComparison.OrdinalIgnoreCase);
    }

    private static bool MatchesEntry(JsonElement expected, Observed.Entry entry, RecordedTimes times) =>
        Mismatch(expected.GetProperty("value"), entry.Value, times) is null
        && MatchesMetadata(expected.GetProperty("metadata"), entry.Metadata)
        && (!expected.TryGetProperty("cacheStatus", out var status) || status.GetString() == entry.CacheStatus);

    private static bool MatchesMetadata(JsonElement? expected, KvMetadata metadata)
    {
        if (expected is not { ValueKind: not JsonValueKind.Null } json)
        {
            return metadata.IsNull;
        }

        if (metadata.IsNull)
        {
            return false;
        }

        using var read = JsonDocument.Parse(metadata.Utf8Json, new JsonDocumentOptions { MaxDepth = 1024 });
        return RecordedJson.Matches(json, read.RootElement);
    }

    private static bool MatchesMap(JsonElement expected, Observed.Map map, RecordedTimes times) =>
        expected.GetArrayLength() == map.Pairs.Count
        && expected.EnumerateArray().Zip(map.Pairs).All(pair =>
            Literal.Text(pair.First[0]) == pair.Second.Key && Mismatch(pair.First[1], pair.Second.Value, times) is null);

    private static bool MatchesPage(JsonElement expected, KvListPage page, RecordedTimes times)
    {
        var keys = expected.GetProperty("keys");
        return expected.GetProperty("list_complete").GetBoolean() == page.ListComplete
            && expected.GetProperty("cursor").GetBoolean() == (page.Cursor is not null)
            && page.CacheStatus is null
            && keys.GetArrayLength() == page.Keys.Count
            && keys.EnumerateArray().Zip(page.Keys).All(pair => MatchesKey(pair.First, pair.Second, times));
    }

    private static bool MatchesKey(JsonElement expected, KvListKey key, RecordedTimes times)
    {
        var expiration = expected.TryGetProperty("expiration", out var at) ? times.Seconds(at.GetString()!) : (long?)null;
        return Literal.Text(expected.GetProperty("name")) == key.Name
            && expiration == key.Expiration?.ToUnixTimeSeconds()
            && MatchesMetadata(expected.TryGetProperty("metadata", out var metadata) ? metadata : null, key.Metadata);
    }

    private static bool MatchesError(JsonElement expected, Exception exception, RecordedTimes times)
    {
        var message = times.FillIn(expected.GetProperty("message").GetString()!);
        if (expected.TryGetProperty("status", out var status))
        {
            return exception is KvException kv && kv.StatusCode == status.GetInt32() && kv.Message == message;
        }

        return expected.GetProperty("name").GetString() switch
        {
            // .NET adds the name of the parameter to the message.
            "TypeError" => exception is ArgumentException && exception.Message.StartsWith(message, StringComparison.Ordinal),

            // The wording is V8's.
            "SyntaxError" => exception is JsonException,
            _ => false,
        };
    }

    private static string Describe(Observed actual) => actual switch
    {
        Observed.Error error => $"{error.Exception.GetType().Name}: {error.Exception.Message}",
        Observed.Bytes bytes => "bytes " + Convert.ToHexString(bytes.Value.AsSpan(0, Math.Min(bytes.Value.Length, 300))),
        Observed.Stream stream => "stream " + Convert.ToHexString(stream.Value.AsSpan(0, Math.Min(stream.Value.Length, 300))),
        Observed.Json json => "json " + json.Value.GetRawText(),
        Observed.Entry entry => $"entry {Describe(entry.Value)}, metadata {entry.Metadata}, cache status {entry.CacheStatus ?? "null"}",
        Observed.Map map => "map " + string.Join(", ", map.Pairs.Select(pair => $"{pair.Key}: {Describe(pair.Value)}")),
        Observed.Pages pages => string.Join("; ", pages.Value.Select(page =>
            $"page {string.Join(", ", page.Keys.Select(k => $"{k.Name} {k.Expiration?.ToUnixTimeSeconds()} {k.Metadata}"))}"
            + $" complete {page.ListComplete}")),
        _ => actual.ToString(),
    };

    private static string Shorten(string text) => text.Length <= 1000 ? text : text[..1000] + "…";
}
