using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvStore.Comparisons.Compare;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Latency;

/// <summary>What are the percentiles of a read's latency while the store is written, grows, expires, cleans and collects?</summary>
internal static class LatencyCommand
{
    private static readonly double[] s_shares = [0.5, 0.9, 0.99, 0.999, 0.9999];

    public static int Run(LatencyOptions options)
    {
        var access = new string[options.Readers][];
        for (var reader = 0; reader < access.Length; reader++)
        {
            access[reader] = Workload.Zipf(options.Keys, Math.Max(1000, Math.Min(options.Keys, 500_000)), seed: 20 + reader);
        }

        var sources = PeerSource.InMemory.Where(source => source.IsConcurrent).Append(PeerSource.Persistent).Append(PeerSource.None)
            .Where(source => options.TakesPart(source.Name)).ToArray();
        var results = sources.Where(source => source.Create is not null).Select(source => new LatencyResult(source.Name)).ToArray();
        var progress = new Progress(options.Rounds * results.Length);
        for (var round = 0; round < options.Rounds; round++)
        {
            for (var i = 0; i < results.Length; i++)
            {
                // A new order, so that no store always runs after the same one.
                var result = results[(i + round) % results.Length];
                progress.Begin($"round {round + 1}, {result.Name}");
                var source = sources.Single(source => source.Name == result.Name);
                result.Rounds.Add(Measure(source, options, access, round));
                GC.Collect();
            }
        }

        Progress.Clear();
        Write(options, results, sources.Where(source => source.Create is null));
        return 0;
    }

    // A new store in each round, in a method of its own, so that it is freed before the next one is filled.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static LatencyHistogram Measure(PeerSource source, LatencyOptions options, string[][] access, int round)
    {
        using var peer = source.Create!();
        peer.Fill(0, options.Keys);
        var timed = (ITimedPeer)peer;
        WarmUp(timed, access[0]);
        var writes = (int)(options.WritesPerSecond * options.Duration.TotalSeconds) + 1;
        return new LatencyRound(timed, options, access, new LoadPlan(options.Keys, writes, round)).Run();
    }

    private static void WarmUp(ITimedPeer peer, string[] keys)
    {
        // Optimized before it is measured: the runtime recompiles methods that are called often, twice, in the background.
        for (var phase = 0; phase < 4; phase++)
        {
            for (var i = 0; i < Math.Min(keys.Length, 20_000); i++)
            {
                peer.Read(keys[i]);
            }

            Thread.Sleep(120);
        }
    }

    private static void Write(LatencyOptions options, LatencyResult[] results, IEnumerable<PeerSource> missing)
    {
        var table = new ResultTable(
            $"latency: reads in microseconds from when they were to begin; {options.Readers} x {options.ReadsPerSecond:N0} reads and "
            + $"{options.WritesPerSecond:N0} writes a second on {options.Keys:N0} keys, Zipf 0.99; medians of {options.Rounds} rounds of "
            + $"{options.Duration.TotalSeconds:0.#} s",
            [.. s_shares.Select(share => $"p{(share * 100).ToString("0.##", CultureInfo.InvariantCulture)}"), "max", "worst max", "quietest p99.99"]);
        foreach (var result in results)
        {
            table.Add(
                result.Name,
                [
                    .. s_shares.Select(share => Microseconds(result.Percentile(share))),
                    Microseconds(ResultTable.Median(result.Rounds.Select(round => (double)round.MaxNanoseconds))),
                    Microseconds(result.Rounds.Max(round => round.MaxNanoseconds)),

                    // The machine adds a different time in each round, but never less than zero.
                    Microseconds(result.Rounds.Min(round => round.Percentile(s_shares[^1]))),
                ]);
        }

        foreach (var source in missing)
        {
            table.Add(source.Name, $"missing: {source.MissingBecause}");
        }

        table.Print(Console.Out);
        Directory.CreateDirectory(options.OutputDirectory);
        using (var markdown = new StreamWriter(Path.Combine(options.OutputDirectory, "latency.md")))
        {
            markdown.WriteLine($"{RuntimeInformation.FrameworkDescription}, {Environment.ProcessorCount} processors.");
            table.WriteMarkdown(markdown);
        }

        foreach (var result in results)
        {
            PrintHistogram(result);
        }

        WriteCsv(Path.Combine(options.OutputDirectory, "latency.csv"), results);
        PercentilePlot.Save(results, Path.Combine(options.OutputDirectory, "latency.svg"));
        Console.WriteLine();
        Console.WriteLine($"Written to {options.OutputDirectory}: latency.md, latency.csv, latency.svg.");
    }

    private static void PrintHistogram(LatencyResult result)
    {
        var all = result.All();
        Console.WriteLine();
        Console.WriteLine($"{result.Name}: {all.Count:N0} reads");
        foreach (var (from, count) in all.Octaves())
        {
            // A count for each power of two, to show the rare long reads.
            var bar = new string('#', 1 + (int)Math.Log2(count));
            Console.WriteLine($"  from {Microseconds(from),10} us {count,12:N0} {bar}");
        }
    }

    private static void WriteCsv(string path, LatencyResult[] results)
    {
        using var writer = new StreamWriter(path);
        writer.WriteLine("store,share,nanoseconds");
        foreach (var result in results)
        {
            foreach (var share in PercentilePlot.Shares)
            {
                writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Name},{share:0.#######},{result.Percentile(share):0}"));
            }
        }
    }

    private static string Microseconds(double nanoseconds) => ResultTable.Number(nanoseconds / 1000);
}
