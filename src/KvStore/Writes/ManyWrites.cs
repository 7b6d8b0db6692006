using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Memory;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>Calls that put or delete many keys of a namespace: checks all of them, and then begins.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ManyWrites(KvLimits limits, CoarseClock clock, ShardedStore store, WritePath writes, CommitPath commit, KvTelemetry telemetry)
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

    /// <summary>Deletes many keys.</summary>
    /// <param name="keys">The keys.</param>
    /// <param name="origin">The region in which the deletes are made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Cancels the call before the first key is deleted, and later while it waits.</param>
    /// <returns>How many existed.</returns>
    public ValueTask<long> DeleteAsync(IReadOnlyCollection<string> keys, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved ? Observed(keys, origin, cancellationToken) : Delete(keys, origin, cancellationToken);

        ValueTask<long> Observed(IReadOnlyCollection<string> keys, RegionView? origin, CancellationToken cancellationToken) =>
            telemetry.ObserveAsync("delete_many", () => Delete(keys, origin, cancellationToken), static _ => "ok");
    }

    /// <summary>Deletes all keys that begin with a prefix.</summary>
    /// <param name="prefix">The prefix; empty for all keys.</param>
    /// <param name="origin">The region in which the deletes are made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Ends the call between two batches.</param>
    /// <returns>How many entries were deleted.</returns>
    public ValueTask<long> DeletePrefixAsync(string prefix, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved ? Observed(prefix, origin, cancellationToken) : DeletePrefix(prefix, origin, cancellationToken);

        ValueTask<long> Observed(string prefix, RegionView? origin, CancellationToken cancellationToken) =>
            telemetry.ObserveAsync("delete_prefix", () => DeletePrefix(prefix, origin, cancellationToken), static _ => "ok");
    }

    private ValueTask<long> DeletePrefix(string prefix, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        writes.ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        var utf8 = KeyRules.EncodePrefix(prefix, limits.KeyBytesMax, "DELETE");
        return commit.Engine is { } engine ? DeleteRefreshedAsync(engine) : DeleteThroughAsync(store.Revision);

        ValueTask<long> DeleteThroughAsync(long revision) => new DeletePrefixCall(store, commit, utf8, revision, origin, cancellationToken).DeleteAsync();

        // What other processes have written before the call is deleted as well.
        async ValueTask<long> DeleteRefreshedAsync(IKvEngine engine)
        {
            var revision = await engine.RefreshAsync(CancellationToken.None).ConfigureAwait(false);
            return await DeleteThroughAsync(revision).ConfigureAwait(false);
        }
    }

    private ValueTask<long> Delete(IReadOnlyCollection<string> keys, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        writes.ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        return new DeleteManyCall(commit, Check([.. keys]), origin, cancellationToken).DeleteAsync();
    }

    // Each key once, in the order in which they were given.
    private List<NumberedKey> Check(string[] keys)
    {
        var seen = new HashSet<string>(keys.Length, StringComparer.Ordinal);
        var distinct = new List<NumberedKey>(keys.Length);
        var current = 0;
        try
        {
            for (; current < keys.Length; current++)
            {
                var utf8 = Encode(keys[current]);
                if (seen.Add(keys[current]))
                {
                    distinct.Add(new NumberedKey(current, keys[current], utf8));
                }
            }

            if (commit.HasAdmission)
            {
                var number = 0;
                try
                {
                    commit.CheckMany("DELETE", distinct.ConvertAll(static key => key.Utf8), bytes: null, ref number);
                }
                finally
                {
                    current = number < distinct.Count ? distinct[number].Number : current;
                }
            }
        }
        catch (Exception e) when (e is KvException or KvArgumentException)
        {
            throw NamedMany.WithEntry(e, current, keys[current], NamedMany.Nothing("deleted"));
        }
        catch (ArgumentNullException)
        {
            throw new ArgumentException(Invariant($"Entry {current} is no key: it is null. {NamedMany.Nothing("deleted")}"), nameof(keys));
        }

        return distinct;
    }

    private byte[] Encode(string key)
    {
        using var encoded = new EncodedKey(key, limits.KeyBytesMax, "DELETE", stackalloc byte[EncodedKey.StackBytes]);
        return encoded.Key.Bytes.ToArray();
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
        return new PutManyCall(limits, writes, commit, array, now, origin, cancellationToken).PutAsync();
    }
}
