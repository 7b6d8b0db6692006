using System.Buffers;
using KvStore.Keys;
using KvStore.Rules;

namespace KvStore.Rules;

/// <summary>A valid key encoded as UTF-8, into the caller's buffer when it fits, otherwise into a pooled buffer.</summary>
internal ref struct EncodedKey
{
    /// <summary>The length of the buffer that a caller should pass.</summary>
    public const int StackBytes = 512;

    private byte[]? _rented;

    public EncodedKey(string key, int keyBytesMax, string operation, Span<byte> stack)
    {
        ArgumentNullException.ThrowIfNull(key);
        var bytes = KeyRules.BufferBytes(key, keyBytesMax);
        _rented = bytes <= stack.Length ? null : ArrayPool<byte>.Shared.Rent(bytes);
        var buffer = _rented ?? stack;
        try
        {
            Key = new Utf8Key(buffer[..KeyRules.Encode(key, keyBytesMax, operation, buffer)]);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The key, until this is disposed.</summary>
    public Utf8Key Key { get; }

    public void Dispose()
    {
        if (_rented is { } rented)
        {
            _rented = null;
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
