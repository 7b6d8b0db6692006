using System.Numerics;
using HdrHistogram;

namespace KvStore.Comparisons.Latency;

/// <summary>A histogram of times from a nanosecond to an hour, exact to 0.1 %. Thread safety: one thread at a time.</summary>
internal sealed class LatencyHistogram
{
    private readonly LongHistogram _histogram = new(1, TimeSpan.FromHours(1).Ticks * 100, numberOfSignificantValueDigits: 3);

    public long Count => _histogram.TotalCount;

    public long MaxNanoseconds => _histogram.GetMaxValue();

    public void Add(long nanoseconds) => _histogram.RecordValue(Math.Clamp(nanoseconds, 1, _histogram.HighestTrackableValue));

    public void Add(LatencyHistogram other) => _histogram.Add(other._histogram);

    /// <summary>The time that a share of all requests did not exceed, in nanoseconds.</summary>
    public long Percentile(double share) => Count == 0 ? 0 : _histogram.GetValueAtPercentile(share * 100);

    /// <summary>How many requests took from one power of two up to the next, for each that occurs.</summary>
    public IEnumerable<(long FromNanoseconds, long Count)> Octaves() => _histogram.RecordedValues()
        .GroupBy(value => BitOperations.Log2((ulong)value.ValueIteratedTo), value => value.CountAtValueIteratedTo)
        .Select(octave => (1L << octave.Key, octave.Sum()));
}
