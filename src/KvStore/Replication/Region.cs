using System.Diagnostics;

namespace KvStore.Replication;

/// <summary>A region: its name, its faults, and how much it has not received.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class Region(int index, string name)
{
    private long _backlogVersion;
    private long _pendingCount;
    private long _skewTicks;
    private volatile bool _isCutOff;

    /// <summary>The position among the regions of the namespace, from 0.</summary>
    public int Index { get; } = index;

    /// <summary>The name.</summary>
    public string Name { get; } = name;

    /// <summary>
    /// Low 32 bits: the number of keys with a backlog in this region. High 32 bits: how many backlogs were added so far. When a
    /// read sees the same value before and after, and the low half is 0, the region had no backlog in between.
    /// </summary>
    public long BacklogVersion => Volatile.Read(ref _backlogVersion);

    /// <summary>The number of pending writes that this region has not received.</summary>
    public long PendingCount => Volatile.Read(ref _pendingCount);

    /// <summary>Whether the region is partitioned: nothing is delivered to it or from it.</summary>
    public bool IsCutOff
    {
        get => _isCutOff;
        set => _isCutOff = value;
    }

    /// <summary>The error of the region's clock in ticks; positive when the clock is fast.</summary>
    public long SkewTicks
    {
        get => Volatile.Read(ref _skewTicks);
        set => Volatile.Write(ref _skewTicks, value);
    }

    /// <summary>Counts a key that gets a backlog. Call before readers can see the write that the backlog is about.</summary>
    public void AddBacklog() => Interlocked.Add(ref _backlogVersion, (1L << 32) + 1);

    /// <summary>Counts a key that has no backlog any more.</summary>
    public void RemoveBacklog()
    {
        var version = Interlocked.Decrement(ref _backlogVersion);
        Debug.Assert((uint)version != uint.MaxValue, "A backlog is removed once for each time that one was added.");
    }

    /// <summary>Adds to <see cref="PendingCount"/>.</summary>
    public void AddPending(int change)
    {
        var count = Interlocked.Add(ref _pendingCount, change);
        Debug.Assert(count >= 0, "A write is delivered once to each region.");
    }
}
