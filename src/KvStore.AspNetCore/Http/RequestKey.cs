using KvStore.Rules;

namespace KvStore.Http;

/// <summary>Reads keys from request targets.</summary>
internal static class RequestKey
{
    /// <summary>Gets the value of a key synchronously, without a string for the key.</summary>
    /// <exception cref="KvException">The key is malformed (400) or too long (414).</exception>
    public static bool TryGet(KvNamespace kv, ReadOnlySpan<char> encoded, bool hasMarkedNul, out KvValue value)
    {
        if (KvDiagnostics.IsObserved)
        {
            return TryGetTimed(kv, Decode(encoded, hasMarkedNul, "GET"), out value);
        }

        Span<byte> buffer = encoded.Length <= PercentCode.StackBytes ? stackalloc byte[PercentCode.StackBytes] : new byte[encoded.Length];
        return PercentCode.TryDecode(encoded, buffer, hasMarkedNul, out var written)
            ? kv.TryGet(buffer[..written], out value)
            : throw new KvException(400, "GET", BindingMessages.KeyIsNotDecodable) { ParamName = "key" };
    }

    // The synchronous read is counted but not timed. An observer of a server wants the times of its reads.
    private static bool TryGetTimed(KvNamespace kv, string key, out KvValue value)
    {
        var read = kv.GetAsync(key);

        // The read is complete: a namespace in this process reads from memory.
        value = read.IsCompleted ? read.GetAwaiter().GetResult() : throw new InvalidOperationException("A read of memory has not completed.");
        return value.Exists;
    }

    /// <summary>Decodes a key.</summary>
    /// <exception cref="KvException">The key is malformed (400).</exception>
    public static string Decode(ReadOnlySpan<char> encoded, bool hasMarkedNul, string operation)
    {
        Span<byte> buffer = encoded.Length <= PercentCode.StackBytes ? stackalloc byte[PercentCode.StackBytes] : new byte[encoded.Length];
        return PercentCode.TryDecode(encoded, buffer, hasMarkedNul, out var written)
            ? System.Text.Encoding.UTF8.GetString(buffer[..written])
            : throw new KvException(400, operation, BindingMessages.KeyIsNotDecodable) { ParamName = "key" };
    }
}
