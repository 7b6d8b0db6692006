using KvStore.Diagnostics;

namespace KvStore.Requests;

/// <summary>Keys out of request targets.</summary>
internal static class RequestKey
{
    private const string NotDecodable = "Could not URL-decode key name";

    /// <summary>Reads a key synchronously, without a string.</summary>
    /// <exception cref="KvException">The key is not well formed (400) or too long (414).</exception>
    public static bool TryGet(KvNamespace kv, ReadOnlySpan<char> encoded, bool hasMarkedNul, out KvValue value)
    {
        if (KvMetrics.IsObserved)
        {
            return TryGetTimed(kv, Decode(encoded, hasMarkedNul, "GET"), out value);
        }

        Span<byte> buffer = encoded.Length <= PercentCode.StackBytes ? stackalloc byte[PercentCode.StackBytes] : new byte[encoded.Length];
        return PercentCode.TryDecode(encoded, buffer, hasMarkedNul, out var written)
            ? kv.TryGet(buffer[..written], out value)
            : throw new KvException(400, "GET", NotDecodable);
    }

    // The synchronous read is counted but not timed. Whoever watches a server wants to know how long its reads take.
    private static bool TryGetTimed(KvNamespace kv, string key, out KvValue value)
    {
        var read = kv.GetAsync(key);

        // It never waits: a namespace in this process looks into its memory.
        value = read.IsCompleted ? read.GetAwaiter().GetResult() : throw new InvalidOperationException("A read of memory has not completed.");
        return value.Exists;
    }

    /// <summary>The key as text.</summary>
    /// <exception cref="KvException">It is not well formed (400).</exception>
    public static string Decode(ReadOnlySpan<char> encoded, bool hasMarkedNul, string operation)
    {
        Span<byte> buffer = encoded.Length <= PercentCode.StackBytes ? stackalloc byte[PercentCode.StackBytes] : new byte[encoded.Length];
        return PercentCode.TryDecode(encoded, buffer, hasMarkedNul, out var written)
            ? System.Text.Encoding.UTF8.GetString(buffer[..written])
            : throw new KvException(400, operation, NotDecodable);
    }
}
