namespace KvStore.Tests.Replication;

/// <summary>
/// What regions see of each other's writes, as plainly as it can be said: every region keeps what it sees, and every write
/// is a message to every other region. It shares no code with what it is compared with.
/// </summary>
internal sealed class PropagationModel(int regions, Func<int, int, long, long> lagTicks)
{
    private const long HalfSecond = TimeSpan.TicksPerSecond / 2;

    private readonly List<Message> _messages = [];
    private readonly Dictionary<(int Region, string Key), Write> _seen = [];
    private readonly bool[] _isCutOff = new bool[regions];
    private readonly long[] _skewTicks = new long[regions];
    private bool _isPaused;
    private long _mutations;

    public int PendingCount => _messages.Count;

    public void Put(int region, string key, string? value, int? ttlSeconds, long nowTicks)
    {
        Deliver(nowTicks);
        var number = ++_mutations;
        var isInFlight = _messages.Exists(message => message.Write.Key == key);
        if (value is null && !isInFlight && !Enumerable.Range(0, regions).Any(r => See(r, key, nowTicks) is not null))
        {
            return;
        }

        var heard = _seen.GetValueOrDefault((region, key));
        var stamp = nowTicks + _skewTicks[region];
        stamp = isInFlight && heard is not null ? Math.Max(stamp, heard.Stamp) : stamp;
        var write = new Write(key, value, ttlSeconds is { } ttl ? (2 * ttl) + ((nowTicks + HalfSecond - 1) / HalfSecond) : null, stamp, number, region);
        if (!isInFlight)
        {
            // Everybody has heard everything: whatever that was, it is older than this.
            foreach (var (place, old) in _seen.Where(pair => pair.Key.Key == key).ToList())
            {
                _seen[place] = old with { Stamp = long.MinValue };
            }
        }

        Show(region, write);
        for (var to = 0; to < regions; to++)
        {
            var isOutdone = _seen.GetValueOrDefault((to, key)) is { } seen && IsNewer(seen, write);
            if (to != region && !isOutdone)
            {
                var lag = lagTicks(region, to, number);
                _messages.Add(new Message(write, to, lag) { DueTicks = IsBlocked(region, to) ? null : nowTicks + lag });
            }
        }

        Deliver(nowTicks);
    }

    public string? See(int region, string key, long nowTicks)
    {
        Deliver(nowTicks);
        return _seen.GetValueOrDefault((region, key)) is { } write && !(write.DeadlineHalfSeconds <= nowTicks / HalfSecond)
            ? write.Value
            : null;
    }

    public List<string> List(int region, long nowTicks)
    {
        Deliver(nowTicks);
        var keys = _seen.Keys.Where(place => place.Region == region).Select(place => place.Key).Distinct().ToList();
        return [.. keys.Where(key => See(region, key, nowTicks) is not null).Order(StringComparer.Ordinal)];
    }

    public void SetCutOff(int region, bool isCutOff, long nowTicks)
    {
        Deliver(nowTicks);
        if (_isCutOff[region] == isCutOff)
        {
            return;
        }

        _isCutOff[region] = isCutOff;
        foreach (var message in _messages)
        {
            message.DueTicks = IsBlocked(message.Write.Region, message.To) ? null : message.DueTicks ?? nowTicks + message.LagTicks;
        }
    }

    public void Skew(int region, long ticks) => _skewTicks[region] = ticks;

    public void Pause(long nowTicks)
    {
        Deliver(nowTicks);
        _isPaused = true;
    }

    public void Resume(long nowTicks)
    {
        _isPaused = false;
        Deliver(nowTicks);
    }

    public bool IsPaused => _isPaused;

    /// <summary>Delivers the next message; null when there is none that can be.</summary>
    public (string Key, int To)? Step()
    {
        if (Next(long.MaxValue) is not { } next)
        {
            return null;
        }

        Arrive(next);
        return (next.Write.Key, next.To);
    }

    private void Deliver(long nowTicks)
    {
        while (!_isPaused && Next(nowTicks) is { } next)
        {
            Arrive(next);
        }
    }

    private Message? Next(long nowTicks) => _messages
        .Where(message => message.DueTicks <= nowTicks)
        .OrderBy(message => message.DueTicks).ThenBy(message => message.Write.Number).ThenBy(message => message.To)
        .FirstOrDefault();

    private void Arrive(Message message)
    {
        _messages.Remove(message);
        Show(message.To, message.Write);
    }

    private void Show(int region, Write write)
    {
        var seen = _seen.GetValueOrDefault((region, write.Key));
        if (seen is null || IsNewer(write, seen))
        {
            _seen[(region, write.Key)] = write;
        }

        // What is older than what is seen will never be: it does not count as being on its way.
        var now = _seen[(region, write.Key)];
        _messages.RemoveAll(message => message.To == region && message.Write.Key == write.Key
            && !IsNewer(message.Write, now));
    }

    private static bool IsNewer(Write write, Write other) =>
        write.Stamp != other.Stamp ? write.Stamp > other.Stamp : write.Number > other.Number;

    private bool IsBlocked(int from, int to) => _isCutOff[from] || _isCutOff[to];

    private sealed record Write(string Key, string? Value, long? DeadlineHalfSeconds, long Stamp, long Number, int Region);

    private sealed class Message(Write write, int to, long lagTicks)
    {
        public Write Write => write;

        public int To => to;

        public long LagTicks => lagTicks;

        public long? DueTicks { get; set; }
    }
}
