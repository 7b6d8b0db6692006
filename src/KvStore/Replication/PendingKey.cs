using System.Diagnostics;
using KvStore.Keys;

namespace KvStore.Replication;

/// <summary>A key with at least one write that some region has not received.</summary>
/// <remarks>Thread safety: none; it is read and changed under the lock of its stripe.</remarks>
internal sealed class PendingKey : KeyedItem<PendingKey>
{
    private readonly Backlog?[] _backlogs;
    private int _backlogCount;
    private PendingWrite _newest;

    public PendingKey(byte[] key, ulong hash, int regionCount, PendingWrite baseline)
        : base(key, hash)
    {
        _backlogs = new Backlog?[regionCount];
        _newest = baseline;
        baseline.Retain();
    }

    /// <summary>The write that wins, which is the one that the engine has.</summary>
    public PendingWrite Newest
    {
        get => _newest;
        set
        {
            Debug.Assert(value.IsNewerThan(_newest), "The newest write of a key only becomes newer.");
            value.Retain();
            _newest.Release();
            _newest = value;
        }
    }

    /// <summary>Whether every region has received every write.</summary>
    public bool IsSettled => _backlogCount == 0;

    /// <summary>What a region has not received; null when it has received every write, and shows what the engine has.</summary>
    public Backlog? this[Region region]
    {
        get => _backlogs[region.Index];
        set
        {
            var before = _backlogs[region.Index];
            Debug.Assert(before is null != value is null, "A backlog is added or removed, not replaced.");
            _backlogs[region.Index] = value;
            if (before is null)
            {
                _backlogCount++;
                region.AddBacklog();
            }
            else
            {
                before.Release();
                _backlogCount--;
                region.RemoveBacklog();
            }
        }
    }

    /// <summary>Releases the newest write. Call once, when the key is removed from its table.</summary>
    public void Release()
    {
        Debug.Assert(IsSettled, "A key is kept as long as it has a backlog.");
        _newest.Release();
    }
}

/// <summary>The writes of one key that one region has not received, and the write that it shows until then.</summary>
/// <remarks>Thread safety: none; it is read and changed under the lock of its key's stripe.</remarks>
internal sealed class Backlog
{
    // In the order of stamps and revisions, all newer than the visible one.
    private readonly List<PendingDelivery> _deliveries = new(1);

    public Backlog(PendingWrite visible)
    {
        Visible = visible;
        visible.Retain();
    }

    /// <summary>The write that the region shows.</summary>
    public PendingWrite Visible { get; private set; }

    /// <summary>The number of deliveries that are pending.</summary>
    public int Count => _deliveries.Count;

    /// <summary>A pending delivery, in the order of stamps and revisions.</summary>
    public PendingDelivery this[int index] => _deliveries[index];

    /// <summary>The time of the first delivery; <see cref="WriteOrigin.HeldBack"/> when there is none.</summary>
    public long NextDueTicks { get; private set; } = WriteOrigin.HeldBack;

    /// <summary>When the oldest pending write was made.</summary>
    public long OldestWrittenTicks => _deliveries.Min(delivery => delivery.Write.WrittenTicks);

    /// <summary>Takes the memory for the next <see cref="Add"/>, which then cannot fail.</summary>
    public void Reserve() => _deliveries.EnsureCapacity(_deliveries.Count + 1);

    /// <summary>Adds a write that is newer than <see cref="Visible"/>.</summary>
    public void Add(PendingWrite write, long dueTicks)
    {
        Debug.Assert(write.IsNewerThan(Visible), "Only a newer write can become visible.");
        var at = _deliveries.Count;
        while (at > 0 && _deliveries[at - 1].Write.IsNewerThan(write))
        {
            at--;
        }

        _deliveries.Insert(at, new PendingDelivery(write, dueTicks));
        write.Retain();
        NextDueTicks = Math.Min(NextDueTicks, dueTicks);
    }

    /// <summary>Finds the first delivery that is due at a time: by time, then by the number of the write.</summary>
    public bool TryNextDue(long nowTicks, out PendingDelivery next)
    {
        next = default;
        if (NextDueTicks > nowTicks || _deliveries.Count == 0)
        {
            return false;
        }

        next = _deliveries[0];
        foreach (var delivery in _deliveries)
        {
            var order = delivery.DueTicks.CompareTo(next.DueTicks);
            if (order < 0 || (order == 0 && delivery.Write.Origin.Number < next.Write.Origin.Number))
            {
                next = delivery;
            }
        }

        Debug.Assert(next.DueTicks == NextDueTicks);
        return true;
    }

    /// <summary>Whether the delivery of a write is pending for this time.</summary>
    public bool Expects(PendingWrite write, long dueTicks)
    {
        foreach (var delivery in _deliveries)
        {
            if (ReferenceEquals(delivery.Write, write))
            {
                return delivery.DueTicks == dueTicks;
            }
        }

        return false;
    }

    /// <summary>Makes a write visible, and removes the deliveries of this write and of older ones.</summary>
    /// <param name="write">A write that is newer than <see cref="Visible"/>.</param>
    /// <returns>How many deliveries were removed.</returns>
    public int Deliver(PendingWrite write)
    {
        Debug.Assert(write.IsNewerThan(Visible), "What a region shows only becomes newer.");
        write.Retain();
        Visible.Release();
        Visible = write;
        var removed = 0;
        while (removed < _deliveries.Count && !_deliveries[removed].Write.IsNewerThan(write))
        {
            _deliveries[removed].Write.Release();
            removed++;
        }

        _deliveries.RemoveRange(0, removed);
        FindNextDue();
        return removed;
    }

    /// <summary>Changes the time of a delivery.</summary>
    public void Reschedule(int index, long dueTicks)
    {
        _deliveries[index] = _deliveries[index] with { DueTicks = dueTicks };
        FindNextDue();
    }

    /// <summary>Releases every write. Call once, when the region has received every write.</summary>
    public void Release()
    {
        Visible.Release();
        foreach (var delivery in _deliveries)
        {
            delivery.Write.Release();
        }
    }

    private void FindNextDue()
    {
        NextDueTicks = WriteOrigin.HeldBack;
        foreach (var delivery in _deliveries)
        {
            NextDueTicks = Math.Min(NextDueTicks, delivery.DueTicks);
        }
    }

    /// <summary>A write, and the time of its delivery.</summary>
    public readonly record struct PendingDelivery(PendingWrite Write, long DueTicks);
}
