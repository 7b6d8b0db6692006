using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>
/// Refuses writes that come too soon after another, and writes that would exceed the capacity of a namespace. Both are limits of the
/// service that a namespace has only where its options say so.
/// </summary>
/// <remarks>
/// <para>A write is checked in the step in which it is decided (<see cref="Committer"/>), so concurrent writes cannot exceed a limit
/// together. The size of the namespace is the counters of the store plus the mutations in flight. The namespace is walked only when
/// the limit seems reached and expired entries may still be counted.</para>
/// <para>A check changes nothing. <see cref="NoteWrite"/> is called for writes that were made, so that a refused write does not make
/// the next one come too soon.</para>
/// <para>Thread safety: every member only while holding the lock of <see cref="CallOrder"/>.</para>
/// </remarks>
internal sealed partial class WriteAdmission
{
    private const int WalkedAtOnce = 256;
    private const int ForgottenFrom = 4096;

    private readonly string _name;
    private readonly KvLimits _limits;
    private readonly bool _enforceRate;
    private readonly TimeProvider _timeProvider;
    private readonly ShardedStore _store;
    private readonly Lock _lock;
    private readonly Dictionary<ulong, long> _lastWriteTicks = [];

    // In the order of the log.
    private readonly List<PendingPublication> _inFlight = [];
    private long _bytesInFlight;
    private int _forgetAt = ForgottenFrom;
    private long? _lastTicks;

    private WriteAdmission(string name, KvNamespaceOptions options, ShardedStore store, Lock callLock)
    {
        _name = name;
        _limits = options.Limits;
        _enforceRate = options.EnforceWriteRate;
        _timeProvider = options.TimeProvider;
        _store = store;
        _lock = callLock;
        store.CountLiveBytes();
    }

    /// <summary>Whether the number of keys or bytes is limited.</summary>
    public bool IsLimited => _limits.NamespaceKeysMax is not null || _limits.NamespaceBytesMax is not null;

    /// <summary>Makes the checks that the options require; null when every write is admitted.</summary>
    /// <param name="name">The name of the namespace, for messages.</param>
    /// <param name="options">The limits.</param>
    /// <param name="store">Counts the entries.</param>
    /// <param name="callLock">The lock of <see cref="CallOrder"/>.</param>
    public static WriteAdmission? For(string name, KvNamespaceOptions options, ShardedStore store, Lock callLock) =>
        options.EnforceWriteRate || options.Limits.NamespaceKeysMax is not null || options.Limits.NamespaceBytesMax is not null
            ? new WriteAdmission(name, options, store, callLock)
            : null;

    /// <summary>Refuses a put that exceeds a limit. Changes nothing.</summary>
    /// <param name="key">The key.</param>
    /// <param name="bytes">The length of key, metadata and value.</param>
    /// <exception cref="KvException">There is no room (413), or it comes too soon (429).</exception>
    public void CheckPut<TKey>(in TKey key, long bytes)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (IsLimited)
        {
            CheckRoom(key, bytes);
        }

        CheckRate(key, "PUT");
    }

    /// <summary>Refuses a delete that comes too soon. Changes nothing.</summary>
    /// <exception cref="KvException">It comes too soon (429).</exception>
    public void CheckDelete<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        CheckRate(key, "DELETE");
    }

    /// <summary>Takes the memory for the next <see cref="NoteWrite"/> and <see cref="Begin"/>.</summary>
    public void Reserve()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        AllocationProbe.Before();
        _inFlight.EnsureCapacity(_inFlight.Count + 1);
        if (_enforceRate)
        {
            _lastWriteTicks.EnsureCapacity(_lastWriteTicks.Count + 1);
        }
    }

    /// <summary>A mutation is in flight.</summary>
    public void Begin(PendingPublication mutation)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        _inFlight.Add(mutation);
        _bytesInFlight += BytesOf(mutation);
    }

    /// <summary>A mutation is no longer in flight. Publish it, if it is, in the same step.</summary>
    public void End(PendingPublication mutation)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        _inFlight.Remove(mutation);
        _bytesInFlight -= BytesOf(mutation);
    }

    /// <summary>A write of a key was made.</summary>
    public void NoteWrite<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (!_enforceRate)
        {
            return;
        }

        var nowTicks = _timeProvider.GetUtcNow().UtcTicks;
        _lastTicks = nowTicks;
        _lastWriteTicks[key.Hash] = nowTicks;
        if (_lastWriteTicks.Count >= _forgetAt)
        {
            foreach (var (other, ticks) in _lastWriteTicks)
            {
                if (nowTicks - ticks >= _limits.KeyWriteInterval.Ticks)
                {
                    _lastWriteTicks.Remove(other);
                }
            }

            _forgetAt = Math.Max(ForgottenFrom, _lastWriteTicks.Count * 2);
        }
    }

    private static long BytesOf(PendingPublication mutation) => mutation.IsDelete ? 0 : mutation.Draft.Record.LiveBytes;

    private void CheckRoom<TKey>(in TKey key, long bytes)
        where TKey : struct, IKey, allows ref struct
    {
        // As if everything in flight were new. Nearly always that is enough.
        var (keys, total) = (_store.Count, _store.CountedLiveBytes);
        if (IsRoomFor(keys + _inFlight.Count + 1, total + _bytesInFlight + bytes))
        {
            return;
        }

        (keys, total) = Size();

        // The entry that a put replaces makes room for it. A put that adds neither keys nor bytes is always admitted.
        var (before, beforeBytes) = MostOf(key, out _, out _);
        CheckSize(key, keys + 1 - before, total + Math.Max(bytes - beforeBytes, 0), isNew: before == 0, grows: bytes > beforeBytes);
    }

    // The most that the namespace can hold while the mutations in flight become visible. Entries that have expired do not count.
    private (long Keys, long Bytes) Size()
    {
        var (keys, bytes) = _store.HasExpired ? Walk() : (_store.Count, _store.CountedLiveBytes);
        foreach (var (addedKeys, addedBytes) in AddedInFlight())
        {
            keys += addedKeys;
            bytes += addedBytes;
        }

        return (keys, bytes);
    }

    private void CheckSize<TKey>(in TKey key, long keysAfter, long bytesAfter, bool isNew, bool grows)
        where TKey : struct, IKey, allows ref struct
    {
        if (keysAfter > _limits.NamespaceKeysMax && isNew)
        {
            throw new KvException(
                413, "PUT", Invariant($"The namespace {VisibleKey.Quote(_name)} would hold {keysAfter} keys with {Quote(key)}, exceeding its limit of {_limits.NamespaceKeysMax}."));
        }

        if (bytesAfter > _limits.NamespaceBytesMax && grows)
        {
            throw new KvException(
                413, "PUT", Invariant($"The namespace {VisibleKey.Quote(_name)} would hold {bytesAfter} bytes with {Quote(key)}, exceeding its limit of {_limits.NamespaceBytesMax}."));
        }
    }

    private bool IsRoomFor(long keys, long bytes) =>
        !(keys > _limits.NamespaceKeysMax) && !(bytes > _limits.NamespaceBytesMax);

    // How much each key in flight may add to what the store has of it. Mutations become visible in any order, so a delete makes room
    // only when it is visible.
    private IEnumerable<(int Keys, long Bytes)> AddedInFlight()
    {
        for (var i = 0; i < _inFlight.Count; i++)
        {
            var (most, mostBytes) = MostOf(new Utf8Key(_inFlight[i].Draft.Record.Key), out var present, out var first);
            if (first == i)
            {
                yield return (most - (present.IsNone ? 0 : 1), mostBytes - (present.IsNone ? 0 : present.LiveBytes));
            }
        }
    }

    // The largest that a key can be, as an entry and in bytes, while the mutations in flight become visible.
    private (int Keys, long Bytes) MostOf<TKey>(in TKey key, out Record present, out int first)
        where TKey : struct, IKey, allows ref struct
    {
        var isFound = _store.TryFind(key, out present);
        present = isFound ? present : default;
        var most = isFound ? (1, present.LiveBytes) : (0, 0L);
        first = -1;
        var inFlight = CollectionsMarshal.AsSpan(_inFlight);
        for (var i = 0; i < inFlight.Length; i++)
        {
            var record = inFlight[i].Draft.Record;
            if (record.KeyBytes == key.Utf8Bytes && !key.DiffersFrom(in record.KeyStart))
            {
                first = first < 0 ? i : first;
                most = inFlight[i].IsDelete ? most : (1, Math.Max(most.Item2, record.LiveBytes));
            }
        }

        return most;
    }

    // Does not count entries that have expired and were not removed yet.
    private (long Keys, long Bytes) Walk()
    {
        var (keys, bytes) = (0L, 0L);
        var records = new Record[WalkedAtOnce];
        ReadOnlySpan<byte> after = default;
        int found;
        do
        {
            found = _store.List(prefix: default, after, records);
            foreach (ref readonly var record in records.AsSpan(0, found))
            {
                keys++;
                bytes += record.LiveBytes;
            }

            after = found > 0 ? records[found - 1].Key : after;
        }
        while (found == records.Length);
        return (keys, bytes);
    }

    // Keys are compared by their hashes alone: of two keys with the same 64 bits, one would be refused within a second.
    private void CheckRate<TKey>(in TKey key, string operation)
        where TKey : struct, IKey, allows ref struct
    {
        if (!_enforceRate || _isDecidingMany)
        {
            return;
        }

        var nowTicks = _timeProvider.GetUtcNow().UtcTicks;
        if (_lastTicks is { } last && nowTicks - last < _limits.NamespaceWriteInterval.Ticks)
        {
            throw TooSoon(operation, key, $"The namespace {VisibleKey.Quote(_name)}", _limits.NamespaceWriteInterval);
        }

        if (_lastWriteTicks.TryGetValue(key.Hash, out var lastOfKey) && nowTicks - lastOfKey < _limits.KeyWriteInterval.Ticks)
        {
            throw TooSoon(operation, key, $"Each key of the namespace {VisibleKey.Quote(_name)}", _limits.KeyWriteInterval);
        }
    }

    // Begins with the words of the service's message, so that a search for them finds this.
    private static KvException TooSoon<TKey>(string operation, in TKey key, string what, TimeSpan interval)
        where TKey : struct, IKey, allows ref struct =>
        new(429, operation, Invariant($"Too Many Requests: {Quote(key)} was refused. {what} takes one write in {interval.TotalSeconds} seconds. Wait, and try again."));

    private static string Quote<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var utf8 = new byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        return $"the key {VisibleKey.Quote(utf8.AsSpan())}";
    }
}
