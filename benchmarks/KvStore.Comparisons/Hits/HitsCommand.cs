using System.Globalization;
using KvStore.Comparisons.Compare;

namespace KvStore.Comparisons.Hits;

/// <summary>How often does a cache have what is asked for, when it cannot hold everything?</summary>
/// <remarks>
/// A namespace is limited in bytes and the others in entries. So the namespace is measured first, and the others hold as many entries as it
/// held on average.
/// </remarks>
internal static class HitsCommand
{
    private const int Samples = 1000;
    private static readonly int[] s_percents = [1, 10, 25];

    public static int Run(HitsOptions options)
    {
        string[] columns = ["entries", "optimum", "LRU", "KvStore", .. HitCache.Peers.Select(static peer => peer.Name)];
        var table = new ResultTable(
            $"hits: percent of {options.Accesses:N0} accesses that find their key, for caches of 1, 10 and 25 % of {options.Keys:N0} keys", columns);
        foreach (var percent in s_percents)
        {
            var wanted = options.Keys * percent / 100;
            var budget = BudgetFor(wanted);
            foreach (var make in Trace.All(options.Keys, options.Accesses, wanted))
            {
                var trace = make();
                Console.Error.WriteLine($"{trace.Name}, {percent} %");
                table.Add($"{trace.Name}, {percent} %", [.. Measure(trace, budget)]);
            }
        }

        table.Print(Console.Out);
        Directory.CreateDirectory(options.OutputDirectory);
        using var markdown = new StreamWriter(Path.Combine(options.OutputDirectory, "hits.md"));
        table.WriteMarkdown(markdown);
        return 0;
    }

    private static IEnumerable<string> Measure(Trace trace, long budget)
    {
        var accesses = trace.Accesses;
        var (kvHits, entries) = MeasureKvStore(accesses, budget);
        yield return entries.ToString("N0", CultureInfo.InvariantCulture);
        yield return Percent(Bounds.Optimum(accesses, entries), accesses.Length);
        yield return Percent(Bounds.LeastRecentlyUsed(accesses, entries), accesses.Length);
        yield return Percent(kvHits, accesses.Length);
        foreach (var (_, create) in HitCache.Peers)
        {
            using var cache = create(entries);
            yield return Percent(accesses.Count(cache.TryGetOrPut), accesses.Length);
        }
    }

    private static (int Hits, int Entries) MeasureKvStore(int[] accesses, long budget)
    {
        using var kv = new KvStoreHits(budget);
        var (hits, sum, samples) = (0, 0L, 0);
        for (var i = 0; i < accesses.Length; i++)
        {
            hits += kv.TryGetOrPut(accesses[i]) ? 1 : 0;
            if (i > accesses.Length / 2 && i % (accesses.Length / Samples) == 0)
            {
                sum += kv.Count;
                samples++;
            }
        }

        return (hits, (int)(sum / samples));
    }

    // The bytes that an entry takes are measured, because a budget counts the indexes as well.
    private static long BudgetFor(int entries)
    {
        var budget = Math.Max(KvMemoryOptions.BytesMaxMin, entries * (HitCache.ValueBytes + 100L));
        using var kv = new KvStoreHits(budget);
        for (var i = 0; i < entries * 3; i++)
        {
            kv.TryGetOrPut(i);
        }

        return Math.Max(KvMemoryOptions.BytesMaxMin, budget * entries / kv.Count);
    }

    private static string Percent(int hits, int accesses) => (100.0 * hits / accesses).ToString("0.0", CultureInfo.InvariantCulture);
}
