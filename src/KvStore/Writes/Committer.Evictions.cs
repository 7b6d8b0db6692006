using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.Memory;
using KvStore.Segments;

namespace KvStore.Writes;

/// <content>Evictions of a namespace that persists: deletes that nobody waits for.</content>
internal sealed partial class Committer
{
    // Writers wait for the lock meanwhile.
    private const int EvictedAtOnce = 32;

    /// <summary>
    /// Evicts entries, and deletes them at the provider. An entry leaves memory at once; until its delete is on the disk, a crash may
    /// bring it back. An entry of whose key a mutation is in flight stays.
    /// </summary>
    /// <exception cref="KvPersistenceException">The provider takes no deletes. The entries from there on are still there.</exception>
    public void Evict(List<EvictionCandidate> candidates, SegmentQueue queue)
    {
        Debug.Assert(persistence is not null);
        for (var first = 0; first < candidates.Count; first += EvictedAtOnce)
        {
            lock (calls.Lock)
            {
                if (_isClosed)
                {
                    return;
                }

                foreach (ref readonly var candidate in CollectionsMarshal.AsSpan(candidates).Slice(first, Math.Min(EvictedAtOnce, candidates.Count - first)))
                {
                    EvictHoldingLock(candidate, queue);
                }
            }
        }
    }

    // Nobody else removes or replaces the entry meanwhile: writers need the lock, what is in flight was asked about, and the background work
    // that sweeps is the one that evicts.
    private void EvictHoldingLock(in EvictionCandidate candidate, SegmentQueue queue)
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        if (_inFlight.Queues.IsInFlight(candidate.Hash) || !store.IsCurrent(candidate))
        {
            return;
        }

        var revision = store.TakeRevision();
        var mutation = candidate.Record.ToMutation(revision) with { IsDelete = true, Metadata = default, Value = default, LargeValue = default, DeadlineSeconds = 0, DeadlineRounding = 0 };
        var append = persistence!.AppendAsync(mutation);
        if (append.IsCompleted)
        {
            append.GetAwaiter().GetResult();
        }
        else
        {
            _ = ObserveAsync(append);
        }

        store.TryEvict(candidate, queue, revision);
    }

    // The caller of a put need not wait for it. When it fails, the provider refuses what follows, and the health of the namespace says why.
    private static async Task ObserveAsync(ValueTask append)
    {
        try
        {
            await append.ConfigureAwait(false);
        }
        catch (Exception e) when (e is KvPersistenceException or OutOfMemoryException or ObjectDisposedException)
        {
            // The entry may be recovered, as after a crash before the delete was on the disk.
        }
    }
}
