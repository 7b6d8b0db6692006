namespace KvStore;

/// <summary>The usual models of replication lag: how late a region receives a write of another region.</summary>
/// <remarks>
/// The random models compute a lag from the seed, the two regions and the number of the write, and keep no state. The same seed and
/// the same operations give the same lags in every process. Thread safety: all models, from any thread.
/// </remarks>
public static class KvLag
{
    /// <summary>No lag: every region receives a write at once.</summary>
    public static IKvLagModel None { get; } = new FixedLag(TimeSpan.Zero);

    /// <summary>Always the same lag.</summary>
    /// <param name="lag">The lag, zero or more.</param>
    /// <returns>The model.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The lag is negative.</exception>
    public static IKvLagModel Fixed(TimeSpan lag)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lag, TimeSpan.Zero);
        return lag == TimeSpan.Zero ? None : new FixedLag(lag);
    }

    /// <summary>Lags that are distributed uniformly between two limits.</summary>
    /// <param name="min">The smallest lag, zero or more.</param>
    /// <param name="max">The largest lag, at least <paramref name="min"/>.</param>
    /// <param name="seed">Chooses one of 2^32 sequences of lags.</param>
    /// <returns>The model.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A lag is negative, or the largest is below the smallest.</exception>
    public static IKvLagModel Uniform(TimeSpan min, TimeSpan max, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(min, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(max, min);
        return new DistributedLag([(0, min), (1, max)], seed);
    }

    /// <summary>
    /// Lags with measured percentiles. Between the percentiles the distribution is linear. The smallest lag is as far below the median
    /// as p95 is above it, but at least zero; the largest lag is as far above p99 as p95 is below it.
    /// </summary>
    /// <param name="median">Half of all lags are below this.</param>
    /// <param name="p95">95 of 100 lags are below this.</param>
    /// <param name="p99">99 of 100 lags are below this.</param>
    /// <param name="seed">Chooses one of 2^32 sequences of lags.</param>
    /// <returns>The model.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A percentile is negative, or below the one before it.</exception>
    public static IKvLagModel Percentiles(TimeSpan median, TimeSpan p95, TimeSpan p99, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(median, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(p95, median);
        ArgumentOutOfRangeException.ThrowIfLessThan(p99, p95);
        var least = median - (p95 - median);
        return new DistributedLag(
            [(0, least < TimeSpan.Zero ? TimeSpan.Zero : least), (0.5, median), (0.95, p95), (0.99, p99), (1, p99 + (p99 - p95))], seed);
    }

    /// <summary>
    /// The lags that are reported for the "instant" service of Workers KV: median 107 ms, p95 181 ms, p99 256 ms.
    /// </summary>
    /// <param name="seed">Chooses one of 2^32 sequences of lags.</param>
    /// <returns>The model.</returns>
    public static IKvLagModel Instant(int seed = 0) => Percentiles(
        TimeSpan.FromMilliseconds(107), TimeSpan.FromMilliseconds(181), TimeSpan.FromMilliseconds(256), seed);

    /// <summary>A fixed lag for each pair of regions, in a table.</summary>
    /// <param name="regions">The regions, in the order of rows and columns.</param>
    /// <param name="lags">The lags from the region of the row to the region of the column. The diagonal is not used.</param>
    /// <returns>A model for these regions.</returns>
    /// <exception cref="ArgumentException">The number of rows or columns is not the number of regions, or a lag is negative.</exception>
    public static IKvLagModel Matrix(IReadOnlyList<string> regions, TimeSpan[,] lags)
    {
        ArgumentNullException.ThrowIfNull(regions);
        ArgumentNullException.ThrowIfNull(lags);
        if (lags.GetLength(0) != regions.Count || lags.GetLength(1) != regions.Count)
        {
            throw new ArgumentException(
                Invariant($"The matrix of lags is {lags.GetLength(0)} by {lags.GetLength(1)}; for {regions.Count} regions it must be {regions.Count} by {regions.Count}."),
                nameof(lags));
        }

        var pairs = new Dictionary<(string From, string To), IKvLagModel>();
        for (var from = 0; from < regions.Count; from++)
        {
            for (var to = 0; to < regions.Count; to++)
            {
                if (from != to)
                {
                    pairs[(regions[from], regions[to])] = Fixed(lags[from, to]);
                }
            }
        }

        return Matrix(pairs);
    }

    /// <summary>A model for each pair of regions.</summary>
    /// <param name="pairs">The models. When a pair is missing, the model of the opposite direction is used.</param>
    /// <param name="otherwise">The model for pairs that are missing in both directions; null when a missing pair is an error.</param>
    /// <returns>The model.</returns>
    public static IKvLagModel Matrix(
        IReadOnlyDictionary<(string From, string To), IKvLagModel> pairs, IKvLagModel? otherwise = null)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        return new MatrixLag(new Dictionary<(string From, string To), IKvLagModel>(pairs), otherwise);
    }

    /// <summary>A number from 0 up to, but not including, 1. It depends on nothing but the four arguments.</summary>
    internal static double Draw(int seed, string from, string to, long mutation)
    {
        var state = Mix((uint)seed);
        state = Mix(state ^ Hash(from));
        state = Mix(state ^ Hash(to));
        state = Mix(state ^ (ulong)mutation);
        return (state >> 11) * (1.0 / (1UL << 53));
    }

    // FNV-1a over the characters: string.GetHashCode differs from process to process.
    private static ulong Hash(string text)
    {
        var hash = 0xCBF2_9CE4_8422_2325;
        foreach (var c in text)
        {
            hash = (hash ^ c) * 0x0000_0100_0000_01B3;
        }

        return hash;
    }

    // A step of SplitMix64.
    private static ulong Mix(ulong x)
    {
        x += 0x9E37_79B9_7F4A_7C15;
        x = (x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9;
        x = (x ^ (x >> 27)) * 0x94D0_49BB_1331_11EB;
        return x ^ (x >> 31);
    }

    private sealed class FixedLag(TimeSpan lag) : IKvLagModel
    {
        public TimeSpan GetLag(string origin, string destination, long mutation) => lag;
    }

    // The inverse of the distribution function, linear between the given points.
    private sealed class DistributedLag((double Share, TimeSpan Lag)[] points, int seed) : IKvLagModel
    {
        public TimeSpan GetLag(string origin, string destination, long mutation)
        {
            var share = Draw(seed, origin, destination, mutation);
            var upper = 1;
            while (points[upper].Share <= share && upper < points.Length - 1)
            {
                upper++;
            }

            var (lowShare, low) = points[upper - 1];
            var (highShare, high) = points[upper];
            return low + ((high - low) * ((share - lowShare) / (highShare - lowShare)));
        }
    }

    private sealed class MatrixLag(Dictionary<(string From, string To), IKvLagModel> pairs, IKvLagModel? otherwise) : IKvLagModel
    {
        public TimeSpan GetLag(string origin, string destination, long mutation)
        {
            var model = pairs.GetValueOrDefault((origin, destination)) ?? pairs.GetValueOrDefault((destination, origin)) ?? otherwise
                ?? throw new ArgumentException($"The matrix of lags has no lag from \"{origin}\" to \"{destination}\" and none for other pairs.");
            return model.GetLag(origin, destination, mutation);
        }
    }
}
