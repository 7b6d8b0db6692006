using System.Buffers.Binary;
using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;

namespace KvStore.Watching;

/// <summary>The keys of one shard that are gone, the newest of them, so that a reader who was away is shown what it missed.</summary>
/// <remarks>
/// Two buffers: when the newer one is full, the older one is forgotten. They begin small, and nothing is kept before the first removal.
/// Thread safety: none; the lock of the shard is held.
/// </remarks>
internal sealed class RemovedKeys
{
    /// <summary>The most memory for one key of at most 512 bytes: a buffer that grew for it may be half empty.</summary>
    public const int BytesPerKeyMax = 2 * (HeaderBytes + KeyBytesMax);

    private const int HeaderBytes = sizeof(long) + 1 + sizeof(ushort);
    private const int KeyBytesMax = 512;
    private const int BytesMin = 256;

    private byte[] _newer = [];
    private byte[] _older = [];
    private int _newerBytes;
    private int _olderBytes;
    private long _newerHighest;
    private long _olderHighest;

    /// <summary>No removal with a higher revision was forgotten.</summary>
    public long ForgottenThrough { get; private set; }

    /// <summary>The bytes of the buffers.</summary>
    public long Bytes => _newer.Length + _older.Length;

    /// <summary>Remembers a removal. Never fails: without memory it is forgotten at once.</summary>
    /// <param name="change">The removal.</param>
    /// <param name="bytesMax">The most bytes that are kept.</param>
    public void Add(in KeyChange change, int bytesMax)
    {
        Debug.Assert(change.Kind != KvChangeKind.Put);
        var bytes = HeaderBytes + change.Key.Length;
        if (_newer.Length - _newerBytes < bytes && !TryMakeRoom(bytes, bytesMax / 2))
        {
            ForgottenThrough = Math.Max(ForgottenThrough, change.Revision);
            return;
        }

        var entry = _newer.AsSpan(_newerBytes, bytes);
        BinaryPrimitives.WriteInt64LittleEndian(entry, change.Revision);
        entry[sizeof(long)] = (byte)change.Kind;
        BinaryPrimitives.WriteUInt16LittleEndian(entry[(sizeof(long) + 1)..], (ushort)change.Key.Length);
        change.Key.CopyTo(entry[HeaderBytes..]);
        _newerBytes += bytes;
        _newerHighest = Math.Max(_newerHighest, change.Revision);
    }

    /// <summary>Adds the removals of some keys with a higher revision to a list.</summary>
    /// <returns>False when some may have been forgotten.</returns>
    public bool TryCollect(long afterRevision, WatchedKeys keys, List<PendingChange> destination)
    {
        if (afterRevision < ForgottenThrough)
        {
            return false;
        }

        Collect(_older.AsSpan(0, _olderBytes), afterRevision, keys, destination);
        Collect(_newer.AsSpan(0, _newerBytes), afterRevision, keys, destination);
        return true;
    }

    private static void Collect(ReadOnlySpan<byte> entries, long afterRevision, WatchedKeys keys, List<PendingChange> destination)
    {
        while (!entries.IsEmpty)
        {
            var revision = BinaryPrimitives.ReadInt64LittleEndian(entries);
            var key = entries.Slice(HeaderBytes, BinaryPrimitives.ReadUInt16LittleEndian(entries[(sizeof(long) + 1)..]));
            if (revision > afterRevision && keys.Contains(key))
            {
                destination.Add(new PendingChange(KeyHash.OfUtf8(key), revision, (KvChangeKind)entries[sizeof(long)], key.ToArray()));
            }

            entries = entries[(HeaderBytes + key.Length)..];
        }
    }

    /// <summary>Forgets removals until the buffers have at most so many bytes.</summary>
    public void Trim(int bytesMax)
    {
        if (Bytes > bytesMax)
        {
            ForgetOlder();
            _older = [];
        }

        if (Bytes > bytesMax)
        {
            (_olderHighest, _newerHighest, _newerBytes) = (_newerHighest, 0, 0);
            ForgetOlder();
            _newer = [];
        }
    }

    private bool TryMakeRoom(int bytes, int bufferBytesMax)
    {
        if (_newer.Length < bufferBytesMax && TryGrow(bytes, bufferBytesMax))
        {
            return true;
        }

        // The older half makes room.
        ForgetOlder();
        (_newer, _older) = (_older, _newer);
        (_newerBytes, _olderBytes) = (0, _newerBytes);
        (_newerHighest, _olderHighest) = (0, _newerHighest);
        return _newer.Length >= bytes || TryGrow(bytes, bufferBytesMax);
    }

    private void ForgetOlder()
    {
        ForgottenThrough = Math.Max(ForgottenThrough, _olderHighest);
        (_olderHighest, _olderBytes) = (0, 0);
    }

    private bool TryGrow(int bytes, int bufferBytesMax)
    {
        var needed = _newerBytes + bytes;
        if (needed > Math.Max(bufferBytesMax, HeaderBytes + byte.MaxValue))
        {
            return false;
        }

        try
        {
            AllocationProbe.Before();
            Array.Resize(ref _newer, Math.Max(needed, Math.Min(bufferBytesMax, Math.Max(BytesMin, _newer.Length * 2))));
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }
}
