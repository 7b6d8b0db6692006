namespace KvStore.Replication;

/// <summary>What time it is for replication, which can be paused.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ReplicationClock(TimeProvider timeProvider)
{
    private long _resumedTicks;
    private volatile bool _isPaused;

    /// <summary>The time.</summary>
    public long NowTicks => timeProvider.GetUtcNow().UtcTicks;

    /// <summary>Up to which time what is due has arrived: now, or nothing at all while paused.</summary>
    public long HorizonTicks => _isPaused ? long.MinValue : NowTicks;

    /// <summary>Whether nothing arrives by itself.</summary>
    public bool IsPaused => _isPaused;

    /// <summary>When something was heard that was due at a time: then, or when the pause was over.</summary>
    public long HeardTicks(long dueTicks) => Math.Max(dueTicks, Volatile.Read(ref _resumedTicks));

    /// <summary>Stands still.</summary>
    public void Pause() => _isPaused = true;

    /// <summary>Goes on.</summary>
    public void Resume()
    {
        Volatile.Write(ref _resumedTicks, NowTicks);
        _isPaused = false;
    }
}
