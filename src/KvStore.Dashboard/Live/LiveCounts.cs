namespace KvStore.Dashboard.Live;

/// <summary>
/// Counts the operations of one namespace since the last sample. Thread safety: counting, from any thread; draining, from one thread
/// at a time.
/// </summary>
internal sealed class LiveCounts
{
    private readonly LatencyHistogram _reads = new();
    private long _readCount;
    private long _writeCount;
    private long _listCount;
    private long _hits;
    private long _misses;

    public void Count(string? operation, string? outcome, long count)
    {
        switch (operation)
        {
            case "get":
                Interlocked.Add(ref _readCount, count);
                Interlocked.Add(ref _hits, outcome == "hit" ? count : 0);
                Interlocked.Add(ref _misses, outcome == "miss" ? count : 0);
                break;
            case "get_many":
                Interlocked.Add(ref _readCount, count);
                break;
            case "put" or "delete":
                Interlocked.Add(ref _writeCount, count);
                break;
            case "list":
                Interlocked.Add(ref _listCount, count);
                break;
        }
    }

    public void Time(string? operation, double seconds)
    {
        if (operation is "get" or "get_many")
        {
            _reads.Record(seconds);
        }
    }

    /// <summary>Takes the counts, and starts again from zero.</summary>
    public LiveSample Drain()
    {
        var latencies = LatencyHistogram.NewCounts();
        _reads.DrainTo(latencies);
        return new LiveSample(
            Interlocked.Exchange(ref _readCount, 0),
            Interlocked.Exchange(ref _writeCount, 0),
            Interlocked.Exchange(ref _listCount, 0),
            Interlocked.Exchange(ref _hits, 0),
            Interlocked.Exchange(ref _misses, 0),
            latencies);
    }
}

/// <summary>The operations of a namespace, or of several, between two samples.</summary>
internal sealed record LiveSample(long Reads, long Writes, long Lists, long Hits, long Misses, long[] Latencies)
{
    public static LiveSample None { get; } = new(0, 0, 0, 0, 0, LatencyHistogram.NewCounts());

    public static LiveSample operator +(LiveSample left, LiveSample right) => new(
        left.Reads + right.Reads,
        left.Writes + right.Writes,
        left.Lists + right.Lists,
        left.Hits + right.Hits,
        left.Misses + right.Misses,
        [.. left.Latencies.Zip(right.Latencies, (l, r) => l + r)]);
}

/// <summary>The samples of all namespaces at one moment, by their names.</summary>
/// <param name="At">When it was taken.</param>
/// <param name="Span">The time since the sample before.</param>
/// <param name="ByNamespace">The samples. A namespace that is missing had no operations.</param>
internal sealed record LiveFrame(DateTimeOffset At, TimeSpan Span, IReadOnlyDictionary<string, LiveSample> ByNamespace)
{
    /// <summary>The sample of some namespaces together.</summary>
    public LiveSample Of(IEnumerable<string> names) => names.Distinct(StringComparer.Ordinal)
        .Select(name => ByNamespace.GetValueOrDefault(name)).OfType<LiveSample>()
        .Aggregate(LiveSample.None, (sum, sample) => sum + sample);
}
