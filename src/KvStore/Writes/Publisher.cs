using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Segments;

namespace KvStore.Writes;

/// <summary>Makes decided mutations visible to readers, and notifies the regions.</summary>
/// <remarks>
/// A draft has one owner: the caller until <see cref="Publish"/> reports that it is published, the store from then on. A caller
/// whose mutation fails before that abandons the draft: <see cref="AbandonUnless"/>.
/// Thread safety: all members, from any thread.
/// </remarks>
internal sealed class Publisher(ShardedStore store)
{
    /// <summary>Publishes a mutation.</summary>
    /// <param name="key">The key.</param>
    /// <param name="draft">The record or tombstone; none to delete a key that needs no tombstone.</param>
    /// <param name="revision">The revision, or 0 to take the next one; afterwards the revision that the mutation has.</param>
    /// <param name="replicated">Notifies the regions; null where nothing is replicated.</param>
    /// <param name="isPublished">Set as soon as the store owns the draft, also when something fails afterwards.</param>
    /// <param name="check">The condition that must hold at this moment; null where there is none, or it was checked before.</param>
    public void Publish<TKey>(
        in TKey key, in RecordDraft draft, ref long revision, ReplicatedWrite? replicated, ref bool isPublished, ConditionCheck? check = null)
        where TKey : struct, IKey, allows ref struct
    {
        var observer = check ?? (PublicationObserver?)replicated;
        if (draft.IsNone)
        {
            store.Remove(key, ref revision, observer);
            isPublished = true;
        }
        else
        {
            store.Publish(key, draft, revision, observer);
            isPublished = true;
            revision = draft.Record.Revision;
        }

        replicated?.Complete(key);
    }

    /// <summary>Gives up the draft of a mutation that failed, unless it was published. A publication that fails has changed nothing.</summary>
    public void AbandonUnless(bool isPublished, in RecordDraft draft)
    {
        if (!isPublished && !draft.IsNone)
        {
            store.Abandon(draft);
        }
    }
}
