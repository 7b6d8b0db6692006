using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.Engine;
using KvStore.Keys;

namespace KvStore.Commit;

/// <summary>
/// Refuses writes that come too soon after another, and writes that a namespace has no room for: limits of the service
/// that a namespace has only where it is asked to.
/// </summary>
/// <remarks>
/// <para>A write is checked in the step in which it is decided: appended to the log, or published where there is no log. So
/// concurrent writes cannot exceed a limit together. How full the namespace is is what the store counts, and what mutations in
/// flight will make of it. Only where the limit seems reached while expired entries are still counted is the namespace walked.</para>
/// <para>A check changes nothing; <see cref="NoteWrite"/> is called for writes that were made, so that a refused one does not make
/// the next one come too soon.</para>
/// <para>Thread safety: every member only while holding the lock of <see cref="CallOrder"/>.</para>
/// </remarks>
internal sealed class WriteAdmission
{
    private const int WalkedAtOnce = 256;
    private const int ForgottenFrom = 4096;

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

    private WriteAdmission(KvNamespaceOptions options, ShardedStore store, Lock callLock)
    {
        _limits = options.Limits;
        _enforceRate = options.EnforceWriteRate;
        _timeProvider = options.TimeProvider;
        _store = store;
        _lock = callLock;
        store.CountLiveBytes();
    }

    private bool IsLimited => _limits.NamespaceKeysMax is not null || _limits.NamespaceBytesMax is not null;

    /// <summary>What the options ask for; null when every write is admitted.</summary>
    public static WriteAdmission? For(KvNamespaceOptions options, ShardedStore store, Lock callLock) =>
        options.EnforceWriteRate || options.Limits.NamespaceKeysMax is not null || options.Limits.NamespaceBytesMax is not null
            ? new WriteAdmission(options, store, callLock)
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

        CheckRate(key.Hash, "PUT");
    }

    /// <summary>Refuses a delete that comes too soon. Changes nothing.</summary>
    /// <exception cref="KvException">It comes too soon (429).</exception>
    public void CheckDelete<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        CheckRate(key.Hash, "DELETE");
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
        // As if everything in flight were new: nearly always that is enough.
        var (keys, total) = (_store.Count, _store.CountedLiveBytes);
        if (IsRoomFor(keys + _inFlight.Count + 1, total + _bytesInFlight + bytes))
        {
            return;
        }

        if (_store.HasExpired)
        {
            (keys, total) = Walk();
        }

        foreach (var (addedKeys, addedBytes) in AddedInFlight())
        {
            keys += addedKeys;
            total += addedBytes;
        }

        // What a put replaces makes room for it. One that adds neither keys nor bytes is let through in any case.
        var (before, beforeBytes) = MostOf(key, out _, out _);
        var keysAfter = keys + 1 - before;
        var bytesAfter = total + Math.Max(bytes - beforeBytes, 0);
        if (keysAfter > _limits.NamespaceKeysMax && before == 0)
        {
            throw new KvException(413, "PUT", Invariant($"Namespace would hold {keysAfter} keys, exceeding its limit of {_limits.NamespaceKeysMax}."));
        }

        if (bytesAfter > _limits.NamespaceBytesMax && bytesAfter > total)
        {
            throw new KvException(413, "PUT", Invariant($"Namespace would hold {bytesAfter} bytes, exceeding its limit of {_limits.NamespaceBytesMax}."));
        }
    }

    private bool IsRoomFor(long keys, long bytes) =>
        !(keys > _limits.NamespaceKeysMax) && !(bytes > _limits.NamespaceBytesMax);

    // By how much each key in flight may exceed what the store holds of it. Mutations become visible in any order, so a delete makes
    // room only when it is visible.
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

    // The most that there will be of a key, as an entry and in bytes, while what is in flight becomes visible.
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

    // Without what has expired and is still there.
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

    // Keys are told apart by their hashes alone: of two with the same 64 bits one would be refused, within a second.
    private void CheckRate(ulong hash, string operation)
    {
        if (!_enforceRate)
        {
            return;
        }

        var nowTicks = _timeProvider.GetUtcNow().UtcTicks;
        var isTooSoon = (_lastTicks is { } last && nowTicks - last < _limits.NamespaceWriteInterval.Ticks)
            || (_lastWriteTicks.TryGetValue(hash, out var lastOfKey) && nowTicks - lastOfKey < _limits.KeyWriteInterval.Ticks);
        if (isTooSoon)
        {
            throw new KvException(429, operation, "Too Many Requests");
        }
    }
}
