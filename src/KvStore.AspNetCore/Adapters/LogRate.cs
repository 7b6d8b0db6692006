namespace KvStore.Adapters;

/// <summary>Lets one message through in an interval, so that a disk that fails does not fill the log.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class LogRate(TimeProvider time)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private long? _last;
    private long _suppressed;

    /// <summary>Whether to log now.</summary>
    /// <param name="suppressed">How many messages were not logged since the last one.</param>
    public bool Allows(out long suppressed)
    {
        lock (_lock)
        {
            suppressed = _suppressed;
            var now = time.GetTimestamp();
            if (_last is { } last && time.GetElapsedTime(last, now) < s_interval)
            {
                _suppressed++;
                return false;
            }

            _last = now;
            _suppressed = 0;
            return true;
        }
    }
}
