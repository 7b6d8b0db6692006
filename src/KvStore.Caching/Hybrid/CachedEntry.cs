using System.Buffers;
using System.Diagnostics;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <summary>What is known in memory of an entry of the namespace, in one version.</summary>
/// <param name="key">The key of the caller.</param>
/// <param name="revision">The version; 0 while it is not known.</param>
/// <param name="header">When the version expires, and its tags.</param>
internal class CachedEntry(string key, long revision, EntryHeader header)
{
    private long _until;

    /// <summary>The key of the caller.</summary>
    public string Key { get; } = key;

    /// <summary>The revision of the version; 0 while it is not known, and <see cref="Confirm"/> was not called.</summary>
    public long Revision { get; set; } = revision;

    /// <summary>When the version expires, and its tags.</summary>
    public EntryHeader Header { get; } = header;

    /// <summary>
    /// The moment up to which the version is what the key has, as long as this is in <see cref="CachedEntries"/>: when it expires for a caller who
    /// reads without restrictions, in milliseconds since 1970. 0 until <see cref="Confirm"/>: compare the revision with the namespace.
    /// </summary>
    public long Until => Volatile.Read(ref _until);

    /// <summary>The next entry in its bucket; set by <see cref="CachedEntries"/>.</summary>
    public CachedEntry? Next { get; set; }

    /// <summary>
    /// The namespace has this version, and did so after this was added to <see cref="CachedEntries"/>, from where the next change of the key removes it.
    /// </summary>
    /// <param name="revision">The revision of the version.</param>
    public void Confirm(long revision)
    {
        Debug.Assert(Revision == 0 || Revision == revision);
        Revision = revision;
        Volatile.Write(ref _until, Math.Max(Header.Expires, Header.LocalExpires));
    }
}

/// <summary>An entry whose value nobody can change, with the object that all callers get.</summary>
/// <typeparam name="T">The type as which the value was asked for.</typeparam>
internal sealed class CachedEntry<T>(string key, long revision, EntryHeader header, T value) : CachedEntry(key, revision, header)
{
    /// <summary>The value.</summary>
    public T Value { get; } = value;
}

/// <summary>An entry whose value callers may change, with the bytes from which each caller gets an object.</summary>
/// <remarks>A copy of the bytes: those of the namespace are in an array of many entries, which they would keep in memory.</remarks>
/// <typeparam name="T">The type as which the value was asked for.</typeparam>
internal sealed class SerializedEntry<T>(string key, long revision, EntryHeader header, byte[] payload, IHybridCacheSerializer<T> serializer)
    : CachedEntry(key, revision, header)
{
    /// <summary>The most bytes that are copied. With more, the lookup in the namespace is a small part of what a hit takes.</summary>
    public const int PayloadBytesMax = 4096;

    private readonly JsonValueSerializer<T>? _json = serializer as JsonValueSerializer<T>;

    /// <summary>Makes an object for one caller.</summary>
    /// <returns>Whether the serializer could.</returns>
    public bool TryRead(out T value)
    {
        try
        {
            value = _json is not null ? _json.Deserialize(payload) : serializer.Deserialize(new ReadOnlySequence<byte>(payload));
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The caller goes on with the entry of the namespace, and logs that it cannot be read.
            value = default!;
            return false;
        }
    }
}
