using System.Diagnostics;
using KvStore.Failures;
using KvStore.Keys;
using KvStore.Rules;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore.Distributed;

/// <summary>The entries of a distributed cache in a namespace. A failure of the store is logged, and is never thrown.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class CacheEntries
{
    private readonly KvNamespace _kv;
    private readonly KvAdapter _adapter;
    private readonly EntryKeys _keys;
    private readonly TimeProvider _clock;
    private readonly StoreFailures _failures;
    private readonly LastUses _uses = new();
    private readonly StaleEntries _stale = new();
    private int _isRemovingStale;

    public CacheEntries(KvNamespace kv, KvAdapter adapter, ILoggerFactory? loggerFactory)
    {
        _kv = kv;
        _adapter = adapter;
        _keys = new EntryKeys(adapter.Prefix);
        _clock = kv.TimeProvider;
        _failures = new StoreFailures(loggerFactory?.CreateLogger("KvStore.DistributedCache") ?? (ILogger)NullLogger.Instance, kv.Name, _clock);
        SavedUses.Load(kv, _keys, _uses, _failures);
    }

    /// <summary>The time of the namespace.</summary>
    public DateTimeOffset Now => _clock.GetUtcNow();

    /// <summary>The number of entries of which a use is known.</summary>
    internal int KnownUses => _uses.Count;

    /// <summary>
    /// Finds an entry that is not gone, and records its use. Does not wait, unless the disk takes longer for a touch than the entry has left
    /// in the store.
    /// </summary>
    /// <param name="key">The key of the framework.</param>
    /// <param name="operation">For the metric: <c>get</c> or <c>refresh</c>.</param>
    /// <param name="value">The entry.</param>
    /// <param name="touch">
    /// The touch by which the store learns of the use, where there is one and it has not completed. It never fails. A caller that cannot wait
    /// ignores it.
    /// </param>
    /// <param name="reads">Whether the caller reads the value. Of a large one it reports the outcome.</param>
    public bool TryFind(string key, string operation, out KvValue value, out Task? touch, bool reads = true)
    {
        touch = null;
        try
        {
            Span<byte> utf8 = stackalloc byte[EntryKeys.KeyBytesMax];
            var length = _keys.Encode(key, utf8);
            var isFound = TryFindInStore(key, utf8[..length], out value) && !_stale.Contains(key, value.Revision) && Use(key, value, out touch);
            if (!isFound)
            {
                _adapter.CountRequest(operation, "miss");
            }
            else if (!value.IsLarge || !reads)
            {
                _adapter.CountRequest(operation, "hit");
            }

            return isFound;
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            value = default;
            ReportRead(operation, e);
            return false;
        }
    }

    /// <summary>Writes an entry in the place of the one that is there.</summary>
    /// <param name="key">The key of the framework.</param>
    /// <param name="value">The value; copied before the call returns.</param>
    /// <param name="expiration">When it is gone.</param>
    /// <param name="cancellationToken">Cancels the call before the entry is written.</param>
    /// <exception cref="ArgumentException">The value is longer than any value of the namespace.</exception>
    public ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, EntryExpiration expiration, CancellationToken cancellationToken)
    {
        CheckLength(value.Length, nameof(value));
        var storeKey = _keys.Of(key);
        var options = new KvPutOptions { ExpirationTtl = expiration.StoreTtl(EntryExpiration.Milliseconds(Now), _kv.Limits), Metadata = expiration.ToMetadata() };
        try
        {
            return EndAsync("set", key, storeKey, _kv.PutAsync(storeKey, value, options, cancellationToken));
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            ReportWrite("set", key, storeKey, e);
            return default;
        }
    }

    /// <summary>Checks the length of a value, which no entry of the namespace may exceed.</summary>
    /// <param name="length">The length in bytes.</param>
    /// <param name="parameter">The parameter of the caller that has the value.</param>
    /// <exception cref="ArgumentException">It is too long.</exception>
    public void CheckLength(long length, string parameter)
    {
        if (length > _kv.Limits.ValueBytesMax)
        {
            throw new ArgumentException(
                Invariant($"The value has {length} bytes; a value of the KV namespace {VisibleKey.Quote(_kv.Name)} has at most {_kv.Limits.ValueBytesMax}. Cache less in one entry, or raise {nameof(KvLimits)}.{nameof(KvLimits.ValueBytesMax)}."),
                parameter);
        }
    }

    /// <summary>Removes an entry, if it is there.</summary>
    /// <param name="key">The key of the framework.</param>
    /// <param name="cancellationToken">Cancels the call before the entry is removed.</param>
    public ValueTask RemoveAsync(string key, CancellationToken cancellationToken)
    {
        var storeKey = _keys.Of(key);
        _uses.Forget(key);
        try
        {
            return EndAsync("remove", key, storeKey, _kv.DeleteAsync(storeKey, cancellationToken));
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            ReportWrite("remove", key, storeKey, e);
            return default;
        }
    }

    /// <summary>Reports that a value was read, which counts a large one: the others are counted when they are found.</summary>
    public void ReportRead(in KvValue value, string operation)
    {
        if (value.IsLarge)
        {
            _adapter.CountRequest(operation, "hit");
        }
    }

    /// <summary>Reports that an entry, or its large value, could not be read.</summary>
    public void ReportRead(string operation, Exception exception)
    {
        _adapter.CountRequest(operation, "error");
        _failures.Report(operation, exception);
    }

    /// <summary>Saves what a restart needs in order to be exact.</summary>
    public ValueTask SaveAsync() => SavedUses.SaveAsync(_kv, _keys, _uses, _failures);

    /// <summary>Forgets the uses of entries that are gone. Otherwise done once a minute.</summary>
    internal void Sweep() => _uses.Sweep(EntryExpiration.Milliseconds(Now));

    private bool TryFindInStore(string key, ReadOnlySpan<byte> utf8, out KvValue value)
    {
        if (_kv.TryGet(utf8, out value))
        {
            return true;
        }

        if (_uses.TouchOf(key) is not { } touch)
        {
            return false;
        }

        // It was used in time, but the store has not learned of that yet. Only the outcome of the touch, which never fails, says whether
        // the entry is there. So this waits, also where the caller is asynchronous.
        touch.GetAwaiter().GetResult();
        return _kv.TryGet(utf8, out value);
    }

    // Whether the entry is there, and the record of its use when it is.
    private bool Use(string key, in KvValue value, out Task? touch)
    {
        touch = null;
        var metadata = value.Metadata;
        var expiration = metadata.IsNull ? default : EntryExpiration.Read(metadata.Utf8Json.Span);
        if (metadata.IsNull || expiration.IsNone)
        {
            return true;
        }

        var now = EntryExpiration.Milliseconds(Now);
        if (!expiration.Slides)
        {
            return now < expiration.Expires;
        }

        var revision = value.Revision;
        var lastUse = Math.Max(expiration.Set, _uses.Of(key, revision) ?? expiration.LastTouch(value.Expiration, _kv.Limits));
        if (now >= expiration.EndsAt(lastUse))
        {
            return false;
        }

        var use = _uses.Record(key, now, expiration.EndsAt(now) - now);
        if (expiration.NeedsTouch(now, value.Expiration) && use.TryBeginTouch(now))
        {
            use.Touch = TouchAsync(_keys.Of(key), expiration.StoreTtl(now, _kv.Limits), revision);
        }

        // Also that of another caller.
        touch = use.Touch;
        return true;
    }

    // The condition keeps a touch from giving the deadline of this version to one that is set meanwhile.
    private Task? TouchAsync(string storeKey, TimeSpan? ttl, long revision)
    {
        ValueTask<KvWriteResult> touch;
        try
        {
            touch = _kv.TryTouchAsync(storeKey, ttl, KvCondition.Revision(revision));
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            ReportRead("touch", e);
            return null;
        }

        if (!touch.IsCompletedSuccessfully)
        {
            return Awaited(touch);
        }

        _adapter.CountRequest("touch", OutcomeOf(touch.Result));
        return null;

        async Task Awaited(ValueTask<KvWriteResult> touch)
        {
            try
            {
                _adapter.CountRequest("touch", OutcomeOf(await touch.ConfigureAwait(false)));
            }
            catch (Exception e) when (StoreFailures.IsOne(e))
            {
                ReportRead("touch", e);
            }
        }

        static string OutcomeOf(KvWriteResult result) => result.Succeeded ? "ok" : "miss";
    }

    private ValueTask EndAsync(string operation, string key, string storeKey, ValueTask write)
    {
        if (!write.IsCompletedSuccessfully)
        {
            return Awaited(operation, key, storeKey, write);
        }

        write.GetAwaiter().GetResult();
        ReportSuccess(operation);
        return default;

        async ValueTask Awaited(string operation, string key, string storeKey, ValueTask write)
        {
            try
            {
                await write.ConfigureAwait(false);
                ReportSuccess(operation);
            }
            catch (Exception e) when (StoreFailures.IsOne(e))
            {
                ReportWrite(operation, key, storeKey, e);
            }
        }
    }

    private void ReportSuccess(string operation)
    {
        _adapter.CountRequest(operation, "ok");
        if (!_stale.IsEmpty)
        {
            // The store takes writes again.
            _ = RemoveStaleAsync();
        }
    }

    private void ReportWrite(string operation, string key, string storeKey, Exception exception)
    {
        _adapter.CountRequest(operation, "error");
        _failures.Report(operation, exception);
        try
        {
            if (_kv.TryGet(storeKey, out var standing))
            {
                _stale.Add(key, standing.Revision);
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            // Nothing can be read, and so nothing stale.
            return;
        }

        if (exception is KvException or KvArgumentException)
        {
            // This write was refused, for example because its value is too long. A delete may be taken.
            _ = RemoveStaleAsync();
        }
    }

    // Removes the stale entries in the store too, so that they do not come back with a restart.
    private async Task RemoveStaleAsync()
    {
        if (Interlocked.Exchange(ref _isRemovingStale, 1) != 0)
        {
            return;
        }

        try
        {
            foreach (var entry in _stale.Keys)
            {
                Debug.Assert(entry.Value > 0);
                _ = await _kv.TryDeleteAsync(_keys.Of(entry.Key), KvCondition.Revision(entry.Value)).ConfigureAwait(false);
                _stale.Remove(entry);
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            // They stay remembered. The next write that succeeds tries again.
            _failures.Report("remove", e);
        }
        finally
        {
            Volatile.Write(ref _isRemovingStale, 0);
        }
    }
}
