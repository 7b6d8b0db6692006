using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>Calls that put or delete many keys of a namespace: checks all of them, and then begins.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ManyWrites(KvLimits limits, CoarseClock clock, WritePath writes, CommitPath commit, KvTelemetry telemetry)
{
    private readonly PutManyCheck _puts = new(limits, writes, commit);

    /// <summary>Puts many entries in their order.</summary>
    /// <param name="entries">The entries.</param>
    /// <param name="origin">The region in which the puts are made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Cancels the call before the first entry is written, and later while it waits.</param>
    public ValueTask PutAsync(IReadOnlyCollection<KvEntry> entries, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved ? Observed(entries, origin, cancellationToken) : Put(entries, origin, cancellationToken);

        async ValueTask Observed(IReadOnlyCollection<KvEntry> entries, RegionView? origin, CancellationToken cancellationToken) =>
            await telemetry.ObserveAsync("put_many", () => Put(entries, origin, cancellationToken)).ConfigureAwait(false);
    }

    private ValueTask Put(IReadOnlyCollection<KvEntry> entries, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entries);
        writes.ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();

        // Enumerated once: what is checked is what is written.
        var array = entries as KvEntry[] ?? [.. entries];
        var now = clock.Now;
        _puts.Run(array);
        return new PutManyCall(limits, writes, commit, array, now, origin, cancellationToken).RunAsync();
    }
}
