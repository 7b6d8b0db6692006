using KvStore.Engine;
using KvStore.Keys;

namespace KvStore.Commit;

/// <summary>
/// Refuses writes that come too soon after another, and writes that a namespace has no room for: limits of the service
/// that a namespace has only where it is asked to.
/// </summary>
/// <remarks>
/// Thread safety: all members, from any thread, one at a time. How full a namespace is, is counted by walking over it: it
/// is for the few thousand keys of such a service.
/// </remarks>
internal sealed class WriteAdmission
{
    private const int WalkedAtOnce = 256;
    private const int ForgottenFrom = 4096;

    private readonly KvLimits _limits;
    private readonly bool _enforceRate;
    private readonly TimeProvider _timeProvider;
    private readonly ShardedStore _store;
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, long> _lastWriteTicks = [];
    private int _forgetAt = ForgottenFrom;
    private long? _lastTicks;

    private WriteAdmission(KvLimits limits, bool enforceRate, TimeProvider timeProvider, ShardedStore store)
    {
        _limits = limits;
        _enforceRate = enforceRate;
        _timeProvider = timeProvider;
        _store = store;
    }

    /// <summary>What the options ask for; null when every write is admitted.</summary>
    public static WriteAdmission? For(KvNamespaceOptions options, ShardedStore store) =>
        options.EnforceWriteRate || options.Limits.NamespaceKeysMax is not null || options.Limits.NamespaceBytesMax is not null
            ? new WriteAdmission(options.Limits, options.EnforceWriteRate, options.TimeProvider, store)
            : null;

    /// <summary>Admits a put, or refuses it.</summary>
    /// <param name="key">The key.</param>
    /// <param name="bytes">The length of metadata and value.</param>
    /// <exception cref="KvException">There is no room (413), or it comes too soon (429).</exception>
    public void AdmitPut<TKey>(in TKey key, long bytes)
        where TKey : struct, IKey, allows ref struct
    {
        lock (_gate)
        {
            if (_limits.NamespaceKeysMax is not null || _limits.NamespaceBytesMax is not null)
            {
                CheckRoomHoldingGate(key, key.Utf8Bytes + bytes);
            }

            AdmitByRateHoldingGate(key.Hash, "PUT");
        }
    }

    /// <summary>Admits a delete, or refuses it.</summary>
    /// <exception cref="KvException">It comes too soon (429).</exception>
    public void AdmitDelete<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        lock (_gate)
        {
            AdmitByRateHoldingGate(key.Hash, "DELETE");
        }
    }

    private void CheckRoomHoldingGate<TKey>(in TKey key, long bytes)
        where TKey : struct, IKey, allows ref struct
    {
        var keys = 1L;
        var records = new Record[WalkedAtOnce];
        ReadOnlySpan<byte> after = default;
        int found;
        do
        {
            found = _store.List(prefix: default, after, records);
            foreach (ref readonly var record in records.AsSpan(0, found))
            {
                if (record.KeyBytes != key.Utf8Bytes || key.DiffersFrom(in record.KeyStart))
                {
                    keys++;
                    bytes += record.KeyBytes + record.MetadataBytes + (record.IsLarge ? record.LargeValue.Length : record.ValueBytes);
                }
            }

            after = found > 0 ? records[found - 1].Key : after;
        }
        while (found == records.Length);

        if (keys > _limits.NamespaceKeysMax)
        {
            throw new KvException(413, "PUT", Invariant($"Namespace would hold {keys} keys, exceeding its limit of {_limits.NamespaceKeysMax}."));
        }

        if (bytes > _limits.NamespaceBytesMax)
        {
            throw new KvException(413, "PUT", Invariant($"Namespace would hold {bytes} bytes, exceeding its limit of {_limits.NamespaceBytesMax}."));
        }
    }

    // Keys are told apart by their hashes alone: of two with the same 64 bits one would be refused, within a second.
    private void AdmitByRateHoldingGate(ulong hash, string operation)
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

        _lastTicks = nowTicks;
        _lastWriteTicks[hash] = nowTicks;
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
}
