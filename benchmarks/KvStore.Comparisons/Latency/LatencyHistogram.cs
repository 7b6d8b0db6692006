using System.Numerics;

namespace KvStore.Comparisons.Latency;

/// <summary>
/// Counts times in buckets whose width is a 64th of their value, from nanoseconds to minutes, so that a percentile is right
/// to 1.6 % and recording costs a few instructions. Thread safety: one thread at a time.
/// </summary>
internal sealed class LatencyHistogram
{
    private const int SubBucketBits = 6;
    private const int SubBuckets = 1 << SubBucketBits;

    private readonly long[] _counts = new long[(64 - SubBucketBits) * SubBuckets];

    public long Count { get; private set; }

    public long MaxNanoseconds { get; private set; }

    public void Add(long nanoseconds)
    {
        nanoseconds = Math.Max(nanoseconds, 0);
        _counts[BucketOf(nanoseconds)]++;
        Count++;
        MaxNanoseconds = Math.Max(MaxNanoseconds, nanoseconds);
    }

    public void Add(LatencyHistogram other)
    {
        for (var i = 0; i < _counts.Length; i++)
        {
            _counts[i] += other._counts[i];
        }

        Count += other.Count;
        MaxNanoseconds = Math.Max(MaxNanoseconds, other.MaxNanoseconds);
    }

    /// <summary>The time that a share of all requests did not exceed.</summary>
    public long Percentile(double share)
    {
        var rank = (long)Math.Ceiling(share * Count);
        var seen = 0L;
        for (var bucket = 0; bucket < _counts.Length; bucket++)
        {
            seen += _counts[bucket];
            if (seen >= rank && seen > 0)
            {
                return Math.Min(EndOf(bucket), MaxNanoseconds);
            }
        }

        return MaxNanoseconds;
    }

    /// <summary>How many requests took from one power of two up to the next, for each that occurs.</summary>
    public IEnumerable<(long FromNanoseconds, long Count)> Octaves()
    {
        for (var octave = 0; octave < 48; octave++)
        {
            var from = octave == 0 ? 0 : 1L << octave;
            var count = 0L;
            for (var bucket = BucketOf(from); bucket < BucketOf(1L << (octave + 1)); bucket++)
            {
                count += _counts[bucket];
            }

            if (count > 0)
            {
                yield return (from, count);
            }
        }
    }

    private static int BucketOf(long value)
    {
        if (value < SubBuckets)
        {
            return (int)value;
        }

        var shift = BitOperations.Log2((ulong)value) - SubBucketBits;
        return (shift * SubBuckets) + (int)(value >> shift);
    }

    private static long EndOf(int bucket)
    {
        if (bucket < 2 * SubBuckets)
        {
            return bucket;
        }

        var shift = (bucket / SubBuckets) - 1;
        return ((long)(bucket - (shift * SubBuckets) + 1) << shift) - 1;
    }
}
