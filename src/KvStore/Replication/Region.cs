namespace KvStore.Replication;

/// <summary>A region: its name, its faults, and how many keys it has yet to hear something about.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class Region(int index, string name)
{
    private long _flights;
    private long _pending;
    private long _skewTicks;
    private volatile bool _isCutOff;

    /// <summary>Its place among the regions.</summary>
    public int Index { get; } = index;

    /// <summary>Its name.</summary>
    public string Name { get; } = name;

    /// <summary>
    /// The number of keys with a backlog in the low 32 bits, and in the high ones how often such a key was added. So equal
    /// values before and after a read, with no key in either, mean that there was none in between.
    /// </summary>
    public long Flights => Volatile.Read(ref _flights);

    /// <summary>How many mutations are on their way to here.</summary>
    public long PendingCount => Volatile.Read(ref _pending);

    /// <summary>Whether nothing comes in or goes out.</summary>
    public bool IsCutOff
    {
        get => _isCutOff;
        set => _isCutOff = value;
    }

    /// <summary>By how much its clock is fast.</summary>
    public long SkewTicks
    {
        get => Volatile.Read(ref _skewTicks);
        set => Volatile.Write(ref _skewTicks, value);
    }

    /// <summary>A key got a backlog here. Told before readers can see what it is about.</summary>
    public void CountFlight() => Interlocked.Add(ref _flights, (1L << 32) + 1);

    /// <summary>A key has no backlog here any more.</summary>
    public void CountLanding() => Interlocked.Decrement(ref _flights);

    /// <summary>More or fewer mutations are on their way to here.</summary>
    public void CountPending(int change) => Interlocked.Add(ref _pending, change);
}
