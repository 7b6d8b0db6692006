using System.Diagnostics;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// Measures contenders in one process, in turn in every round, so that changes of the machine affect all of them.
/// </summary>
/// <remarks>
/// Before the first round every contender is called often, with pauses for the background compiler, until its code is in the last
/// tier. A loop is a method that is called once for a few hundred steps. So it is recompiled like any hot method, and does not stay in
/// the on-stack replacement of its first call.
/// </remarks>
internal sealed class SideBySide(string title, Session session)
{
    /// <summary>The usual baseline.</summary>
    public const string ConcurrentDictionary = "ConcurrentDictionary";

    private const int StepsPerCall = 256;
    private const int WarmUpPhases = 8;
    private const int CacheWarmingOperations = 100_000;
    private const int WarmUpCallsPerPhase = 40;

    // The runtime queues hot methods for recompilation once nothing new has been compiled for 100 ms.
    private static readonly TimeSpan s_tieringDelay = TimeSpan.FromMilliseconds(150);

    /// <summary>Results are written here, so that the compiler does not remove their computation.</summary>
    private static long s_sink;

    public static long Sink => Volatile.Read(ref s_sink);

    /// <summary>The least number of operations in a measured round.</summary>
    public int OperationsPerRound { get; init; } = 500_000;

    /// <summary>The baseline of the ratios.</summary>
    public string Baseline { get; init; } = ConcurrentDictionary;

    /// <summary>Stores that are missing on this machine. Each gets a line that says so.</summary>
    public IEnumerable<PeerSource> Missing { get; init; } = [];

    /// <summary>The column of the summary for the medians; null for none.</summary>
    public string? SummaryColumn { get; init; }

    /// <summary>The steps of one call, when a step is much longer than one read.</summary>
    public int StepsPerCallMax { get; init; } = StepsPerCall;

    /// <summary>Whether other threads than the caller do the work, so that their allocations count.</summary>
    public bool IsOnOtherThreads { get; init; }

    public string Unit { get; init; } = "ns/op";

    public double NanosecondsPerUnit { get; init; } = 1;

    public void Run(IReadOnlyList<Contender> contenders)
    {
        var options = session.Options;
        WarmUp(contenders);
        GC.Collect();
        var samples = contenders.Select(_ => new Sample[options.Rounds]).ToArray();
        for (var round = 0; round < options.Rounds; round++)
        {
            for (var i = 0; i < contenders.Count; i++)
            {
                // A new order, so that no contender always runs after the same one.
                var at = (i + round) % contenders.Count;
                session.Progress.Show((round + ((double)i / contenders.Count)) / options.Rounds, $"round {round + 1}, {contenders[at].Name}");
                samples[at][round] = Measure(contenders[at]);
            }
        }

        Progress.Clear();
        session.Report.Add(ToTable(contenders, samples));
    }

    private ResultTable ToTable(IReadOnlyList<Contender> contenders, Sample[][] samples)
    {
        var table = ResultTable.OfRounds(
            title, Unit, NanosecondsPerUnit, Baseline, [.. contenders.Select((contender, i) => (contender.Name, samples[i]))]);
        if (SummaryColumn is { } column)
        {
            foreach (var contender in contenders)
            {
                var cells = table.CellsOf(contender.Name);
                session.Report.Summarize(contender.Name, column, cells[3].Length > 0 ? $"{cells[0]} ({cells[3]})" : cells[0]);
            }
        }

        foreach (var source in Missing)
        {
            table.Add(source.Name, $"missing: {source.MissingBecause}");
        }

        return table;
    }

    private void WarmUp(IReadOnlyList<Contender> contenders)
    {
        session.Progress.Show(0, "warming up");
        var phases = session.Options.IsShort ? 1 : WarmUpPhases;
        for (var phase = 0; phase < phases; phase++)
        {
            foreach (var contender in contenders)
            {
                contender.Prepare();
                var steps = Math.Min(StepsPerCallMax, contender.Steps);
                var clock = Stopwatch.StartNew();
                for (var call = 0; call < WarmUpCallsPerPhase && clock.ElapsedMilliseconds < 500; call++)
                {
                    var from = call * steps % (contender.Steps - steps + 1);
                    s_sink += contender.Run(from..(from + steps));
                }

                contender.Finish();
            }

            if (!session.Options.IsShort)
            {
                Thread.Sleep(s_tieringDelay);
            }
        }
    }

    private Sample Measure(Contender contender)
    {
        contender.Prepare();
        var operationsPerPass = (long)contender.Steps * contender.OperationsPerStep;
        var passes = session.Options.IsShort || contender.IsSlow ? 1 : Math.Max(1, OperationsPerRound / operationsPerPass);

        if (!contender.IsOnce)
        {
            // Clears the processor's caches, so that a contender neither pays for nor profits from the one before.
            s_sink += Pass(contender, Math.Min(contender.Steps, CacheWarmingOperations / contender.OperationsPerStep));
        }

        // Collects the garbage of the contender before. Old generations are not collected, because that takes longer than a round.
        GC.Collect(1);
        var allocatedBefore = AllocatedBytes();
        var start = Stopwatch.GetTimestamp();
        for (var pass = 0L; pass < passes; pass++)
        {
            s_sink += Pass(contender, contender.Steps);
        }

        var elapsed = Stopwatch.GetElapsedTime(start);
        var allocated = AllocatedBytes() - allocatedBefore;
        contender.Finish();
        var operations = (double)(passes * operationsPerPass);
        return new Sample(elapsed.TotalNanoseconds / operations, allocated / operations);
    }

    // Exact for one thread. For all threads it counts whole allocation buffers.
    private long AllocatedBytes() => IsOnOtherThreads ? GC.GetTotalAllocatedBytes() : GC.GetAllocatedBytesForCurrentThread();

    private long Pass(Contender contender, int steps)
    {
        var sum = 0L;
        for (var from = 0; from < steps; from += StepsPerCallMax)
        {
            sum += contender.Run(from..Math.Min(from + StepsPerCallMax, steps));
        }

        return sum;
    }
}
