namespace KvStore.Requests;

/// <summary>Keys out of request targets.</summary>
internal static class RequestKey
{
    private const string NotDecodable = "Could not URL-decode key name";

    /// <summary>Reads a key synchronously, without a string.</summary>
    /// <exception cref="KvException">The key is not well formed (400) or too long (414).</exception>
    public static bool TryGet(KvNamespace kv, ReadOnlySpan<char> encoded, bool hasMarkedNul, out KvValue value)
    {
        Span<byte> buffer = encoded.Length <= PercentCode.StackBytes ? stackalloc byte[PercentCode.StackBytes] : new byte[encoded.Length];
        return PercentCode.TryDecode(encoded, buffer, hasMarkedNul, out var written)
            ? kv.TryGet(buffer[..written], out value)
            : throw new KvException(400, "GET", NotDecodable);
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
