using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvStore.Benchmarks.Quick;

/// <summary>
/// The side-by-side tables: all peers interleaved in one process, in minutes instead of the hours that a full run of the
/// suites takes. For the whole statistics, run the suites.
/// </summary>
internal static class QuickCommand
{
    public static int Run(ReadOnlySpan<string> arguments)
    {
        QuickOptions options;
        try
        {
            options = QuickOptions.Parse(arguments);
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }

        var clock = Stopwatch.StartNew();
        Console.WriteLine(
            $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} processors, "
            + $"{options.Rounds} rounds; 24-character keys, {Workload.ValueBytes}-byte values; ratio to ConcurrentDictionary unless said otherwise");
#if DEBUG
        Console.WriteLine("This is a debug build: the numbers mean nothing. Run it with -c Release.");
#endif
        // First, while the heap is empty: later questions leave the collector's own bookkeeping behind.
        MemoryQuestions.Ask(options);
        RegionMemoryQuestions.Ask(options);
        GetQuestions.Ask(options);
        RegionQuestions.Ask(options);
        PutQuestions.Ask(options);
        ListQuestions.Ask(options);
        ThreadQuestions.Ask(options);
        PersistQuestions.Ask(options);
        HttpQuestions.Ask(options);
        Console.WriteLine();
        Console.WriteLine($"Took {clock.Elapsed.TotalSeconds:0} s.");
        return 0;
    }
}
