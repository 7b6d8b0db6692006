using System.Numerics;

namespace KvStore.Dashboard.Live;

/// <summary>
/// Counts operations by their duration in nanoseconds, in buckets that are each about 6 % wide: sixteen for each power of two.
/// Own code, because HdrHistogram would be a dependency of every application that uses this package.
/// Thread safety: recording, from any thread; draining, from one thread at a time.
/// </summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 4;
    private const int SubBuckets = 1 << SubBits;

    // About 18 minutes. Longer operations are counted as that long.
    private const int BitsMax = 40;
    private const int Buckets = ((BitsMax - SubBits) + 1) * SubBuckets;

    private readonly long[] _counts = new long[Buckets];

    public void Record(double seconds) => Interlocked.Increment(ref _counts[BucketOf((long)Math.Clamp(seconds * 1e9, 0, 1L << 50))]);

    /// <summary>Adds the recorded operations to counts, and starts again from zero.</summary>
    public void DrainTo(long[] counts)
    {
        for (var i = 0; i < counts.Length; i++)
        {
            counts[i] += Interlocked.Exchange(ref _counts[i], 0);
        }
    }

    /// <summary>Counts that are all zero.</summary>
    public static long[] NewCounts() => new long[Buckets];

    /// <summary>The duration in seconds that a share of all operations did not exceed; null when there were none.</summary>
    public static double? Percentile(long[] counts, double share)
    {
        var total = counts.Sum();
        if (total == 0)
        {
            return null;
        }

        var rank = Math.Max(1, (long)Math.Ceiling(total * share));
        var bucket = 0;
        for (var seen = counts[0]; seen < rank; seen += counts[bucket])
        {
            bucket++;
        }

        return (LowOf(bucket) + LowOf(bucket + 1)) / 2e9;
    }

    private static int BucketOf(long nanoseconds)
    {
        if (nanoseconds < SubBuckets)
        {
            return (int)nanoseconds;
        }

        var bits = BitOperations.Log2((ulong)nanoseconds);
        return bits >= BitsMax ? Buckets - 1 : ((bits - SubBits + 1) * SubBuckets) + (int)((nanoseconds >> (bits - SubBits)) & (SubBuckets - 1));
    }

    private static double LowOf(int bucket)
    {
        var (power, sub) = (bucket / SubBuckets, bucket % SubBuckets);
        return power == 0 ? sub : (double)((long)(SubBuckets + sub) << (power - 1));
    }
}
