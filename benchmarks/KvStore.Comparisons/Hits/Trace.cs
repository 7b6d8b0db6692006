namespace KvStore.Comparisons.Hits;

/// <summary>A sequence of accesses to keys, which are numbers.</summary>
internal sealed class Trace(string name, int[] accesses)
{
    private const double MoreSkewed = 0.99;

    // One in three accesses belongs to a scan, which reads each of its keys once.
    private const int ZipfRun = 50_000;
    private const int ScanRun = 25_000;

    // So many accesses, and then other keys are the popular ones.
    private const int ShiftEvery = 200_000;
    private const int ShiftBy = 7919;
    private const double LoopOfCache = 1.1;

    /// <summary>What it is.</summary>
    public string Name { get; } = name;

    /// <summary>The keys in the order in which they are read.</summary>
    public int[] Accesses { get; } = accesses;

    /// <summary>All traces for a cache of a size.</summary>
    public static IEnumerable<Func<Trace>> All(int keys, int accesses, int cacheEntries) =>
    [
        () => new Trace("Zipf 0.8", Zipf(keys, accesses, 0.8, seed: 1)),
        () => new Trace("Zipf 0.99", Zipf(keys, accesses, MoreSkewed, seed: 2)),
        () => new Trace("scans over Zipf 0.99", Scans(keys, accesses)),
        () => new Trace("loop of 1.1 caches", Loop((int)(cacheEntries * LoopOfCache) + 1, Math.Min(accesses, cacheEntries * 40))),
        () => new Trace("changing popularity", Changing(keys, accesses)),
    ];

    private static int[] Zipf(int keys, int accesses, double exponent, int seed)
    {
        var random = new Random(seed);
        var cumulative = new double[keys];
        var sum = 0.0;
        for (var rank = 0; rank < keys; rank++)
        {
            sum += 1 / Math.Pow(rank + 1, exponent);
            cumulative[rank] = sum;
        }

        var trace = new int[accesses];
        for (var i = 0; i < accesses; i++)
        {
            var found = Array.BinarySearch(cumulative, random.NextDouble() * sum);
            trace[i] = Math.Min(found < 0 ? ~found : found, keys - 1);
        }

        return trace;
    }

    private static int[] Scans(int keys, int accesses)
    {
        var zipf = Zipf(keys, accesses, MoreSkewed, seed: 3);
        var trace = new int[accesses];
        var (next, scanned) = (0, 0);
        for (var i = 0; i < accesses; i++)
        {
            trace[i] = i % (ZipfRun + ScanRun) < ZipfRun ? zipf[next++] : keys + scanned++;
        }

        return trace;
    }

    private static int[] Loop(int keys, int accesses)
    {
        var trace = new int[accesses];
        for (var i = 0; i < accesses; i++)
        {
            trace[i] = i % keys;
        }

        return trace;
    }

    // From time to time other keys are the popular ones.
    private static int[] Changing(int keys, int accesses)
    {
        var trace = Zipf(keys, accesses, MoreSkewed, seed: 4);
        for (var i = 0; i < accesses; i++)
        {
            trace[i] = (int)((trace[i] + ((long)(i / ShiftEvery) * ShiftBy)) % keys);
        }

        return trace;
    }
}
