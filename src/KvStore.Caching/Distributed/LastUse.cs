namespace KvStore.Distributed;

/// <summary>When one entry was last used, and the touch by which the store learns of it.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
/// <param name="time">The time of the use, in milliseconds since the Unix epoch.</param>
/// <param name="window">For how long the use matters, in milliseconds.</param>
internal sealed class LastUse(long time, long window)
{
    /// <summary>The time of a use that a sweep is about to remove.</summary>
    public const long Retired = long.MinValue;

    /// <summary>The least time between two touches, in milliseconds, so that readers of one key do not all touch it.</summary>
    private const long TouchInterval = 1000;

    private long _time = time;
    private long _window = window;
    private long _nextTouch = long.MinValue;
    private volatile Task? _touch;

    /// <summary>When the entry was last used; <see cref="Retired"/> when a sweep has removed this.</summary>
    public long Time => Volatile.Read(ref _time);

    /// <summary>The touch that has not completed; null when there is none.</summary>
    public Task? Touch
    {
        get => _touch is { IsCompleted: false } touch ? touch : null;
        set => _touch = value;
    }

    /// <summary>Records a later use. An earlier one changes nothing.</summary>
    /// <returns>False when this is retired.</returns>
    public bool TryRecord(long now, long window)
    {
        if (Volatile.Read(ref _window) != window)
        {
            Volatile.Write(ref _window, window);
        }

        while (true)
        {
            var last = Time;
            if (last == Retired)
            {
                return false;
            }

            // Many readers of one key in one millisecond write once.
            if (last >= now || Interlocked.CompareExchange(ref _time, now, last) == last)
            {
                return true;
            }
        }
    }

    /// <summary>Retires this if the use does not matter any more.</summary>
    public bool TryRetire(long now)
    {
        var last = Time;
        return last != Retired && last + Volatile.Read(ref _window) <= now && Interlocked.CompareExchange(ref _time, Retired, last) == last;
    }

    /// <summary>Whether the caller shall touch the entry: no other caller has just begun to.</summary>
    public bool TryBeginTouch(long now)
    {
        var next = Volatile.Read(ref _nextTouch);
        return now >= next && Interlocked.CompareExchange(ref _nextTouch, now + TouchInterval, next) == next;
    }
}
