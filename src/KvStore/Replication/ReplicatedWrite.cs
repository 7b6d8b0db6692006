using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;

namespace KvStore.Replication;

/// <summary>
/// One write, as the write path sees its replication: it decides whether the write wins, observes the publication, and sends the
/// write to the other regions.
/// </summary>
/// <remarks>Thread safety: none; the caller that makes the write calls one member after the other.</remarks>
internal sealed class ReplicatedWrite(PendingWriteTable pendingWrites, WriteOrigin origin, RegionCache? cache) : PublicationObserver
{
    private bool? _wins;
    private PendingWrite? _write;
    private PendingKey? _pending;

    /// <summary>Whether some region has not received every write of a key.</summary>
    public bool IsPending<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct => pendingWrites.Contains(key);

    /// <summary>
    /// Decides, before the write is made durable, whether it wins over the writes that its region has not received. Only winners are
    /// made durable. The decision is final.
    /// </summary>
    public bool Decide<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var wins = pendingWrites.WouldWin(origin.Region, key);
        _wins = wins;
        return wins;
    }

    /// <summary>Decides that the write wins: it was made in the knowledge of the newest state, whatever the clock of its region says.</summary>
    public void Win() => _wins = true;

    /// <summary>Decides that the write loses, because a later call was made before it.</summary>
    public void Lose() => _wins = false;

    public override bool OnPublishing(
        ReadOnlySpan<byte> key, ulong hash, Record before, Record after, long revision, bool isNewest)
    {
        _write = new PendingWrite(after, revision, origin);
        return pendingWrites.Publish(_write, key, hash, before, isNewest, _wins, out _pending);
    }

    /// <summary>Call once, after the publication, when readers can see the write. Cannot fail for lack of memory.</summary>
    public void Complete<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        if (_pending is not null)
        {
            pendingWrites.Complete(_write!, _pending);
            _pending = null;
        }

        cache?.Drop(key);
    }
}
