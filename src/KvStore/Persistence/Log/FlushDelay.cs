namespace KvStore.Persistence.Log;

/// <summary>
/// Delays the next write while the callers of the last one are completed: most of them put again at once, and a write that begins
/// with the first of them would leave all the others to the one after it.
/// </summary>
/// <remarks>Not thread-safe: it belongs to <see cref="CommitQueue"/>.</remarks>
internal sealed class FlushDelay(TimeProvider time)
{
    // The next write is delayed for at most this part of the time that the last one took.
    private const int Divisor = 2;

    private long _writeBegan;
    private long _since;
    private long _ticksMax;

    /// <summary>Whether a write is delayed, unless its time is over.</summary>
    public bool IsOn { get; private set; }

    /// <summary>Whether the time of the delay is over.</summary>
    public bool IsOver => time.GetTimestamp() - _since >= _ticksMax;

    /// <summary>A write begins.</summary>
    public void WriteBegins() => _writeBegan = time.GetTimestamp();

    /// <summary>A write has succeeded, and its callers are completed now.</summary>
    public void Begin()
    {
        IsOn = true;
        _since = time.GetTimestamp();
        _ticksMax = (_since - _writeBegan) / Divisor;
    }

    public void End() => IsOn = false;
}
