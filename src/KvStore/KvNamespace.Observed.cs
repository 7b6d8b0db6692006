using System.Runtime.CompilerServices;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Regions;

namespace KvStore;

/// <content>The operations of a namespace that somebody observes.</content>
public sealed partial class KvNamespace
{
    /// <summary>
    /// Looks whether somebody has begun or ceased to observe. Nothing tells; so this is called at every tick of the clock, and
    /// whenever an operation that is not hot has looked for itself.
    /// </summary>
    private void NoticeObservers()
    {
        lock (_directGate)
        {
            // A clock that does not tick is a test's: there nothing is noticed late, since every read looks.
            _isDirect = _isPlain && _clock.Ticks && _keyBytesMax >= TwoBlockKey.BytesMax && !KvMetrics.IsObserved;
        }
    }

    // What is observed takes the long way, in methods of its own: their closures would cost the short way an allocation. Nobody
    // times the synchronous read or follows it: it is only counted.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue FindElsewhere(string key)
    {
        var value = FindAnywhere(key);
        CountRead(value);
        return value;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue FindElsewhere(ReadOnlySpan<byte> utf8Key)
    {
        var value = FindAnywhere(utf8Key);
        CountRead(value);
        return value;
    }

    private void CountRead(in KvValue value)
    {
        if (!_isDirect && KvMetrics.Requests.Enabled)
        {
            _telemetry.CountRead(value.Exists);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<KvValue> GetObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        Observe("get", () => Get(key, options, cancellationToken), static value => value.Exists ? "hit" : "miss");

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<string?> GetTextObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        Observe("get", () => GetUncachedText(key, options, cancellationToken), static text => text is null ? "miss" : "hit");

    private ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyObserved(
        IReadOnlyCollection<string> keys, KvGetOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        Observe("get_many", () => GetMany(keys, options, region, cancellationToken), static _ => "ok");

    private async ValueTask PutObserved(
        string key, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        await Observe("put", () => Put(key, content, options, region, cancellationToken)).ConfigureAwait(false);

    private async ValueTask DeleteObserved(string key, KvRegion? region, CancellationToken cancellationToken) =>
        await Observe("delete", () => Delete(key, region, cancellationToken)).ConfigureAwait(false);

    private ValueTask<KvListPage> ListObserved(KvListOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        Observe("list", () => List(options, region, cancellationToken), static _ => "ok");

    private ValueTask<T> Observe<T>(string operation, Func<ValueTask<T>> action, Func<T, string> outcomeOf)
    {
        NoticeObservers();
        return _telemetry.ObserveAsync(operation, action, outcomeOf);
    }

    private ValueTask Observe(string operation, Func<ValueTask> action)
    {
        NoticeObservers();
        return _telemetry.ObserveAsync(operation, action);
    }

    // One look at every tick of the clock that all namespaces share, and not one for each of them.
    private static class ObserverWatch
    {
        // A namespace that has looked for itself in between may have seen an observer come who has left before the next tick.
        private const int TicksBetweenCalls = 10;

        private static bool s_wasObserved;
        private static int s_ticksToCall = TicksBetweenCalls;

        static ObserverWatch() => CoarseClock.Ticked += Look;

        /// <summary>Begins to watch, once for the process.</summary>
        public static void Begin()
        {
            // The static constructor does it.
        }

        private static void Look()
        {
            var isObserved = KvMetrics.IsObserved;
            if (isObserved != s_wasObserved || --s_ticksToCall == 0)
            {
                s_wasObserved = isObserved;
                s_ticksToCall = TicksBetweenCalls;
                KvMetrics.NoticeObservers();
            }
        }
    }
}
