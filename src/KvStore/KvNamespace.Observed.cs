using System.Runtime.CompilerServices;

namespace KvStore;

/// <content>The operations of a namespace that somebody observes.</content>
public sealed partial class KvNamespace
{
    // What is observed takes the long way, in methods of its own: their closures would cost the short way an allocation.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryGetObserved(string key, out KvValue value)
    {
        var isHit = TryGetCore(key, out value);
        _telemetry.CountRead(isHit);
        return isHit;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<KvValue> GetObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("get", () => Get(key, options, cancellationToken), static value => value.Exists ? "hit" : "miss");

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<string?> GetCachedTextObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("get", () => GetCachedText(key, options, cancellationToken), static text => text is null ? "miss" : "hit");

    private ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyObserved(
        IReadOnlyCollection<string> keys, KvGetOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("get_many", () => GetMany(keys, options, region, cancellationToken), static _ => "ok");

    private async ValueTask PutObserved(
        string key, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        await _telemetry.ObserveAsync("put", () => Put(key, content, options, region, cancellationToken)).ConfigureAwait(false);

    private async ValueTask DeleteObserved(string key, KvRegion? region, CancellationToken cancellationToken) =>
        await _telemetry.ObserveAsync("delete", () => Delete(key, region, cancellationToken)).ConfigureAwait(false);

    private ValueTask<KvListPage> ListObserved(KvListOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("list", () => List(options, region, cancellationToken), static _ => "ok");
}
