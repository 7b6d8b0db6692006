using System.Diagnostics;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// The comparison tables: all peers in one process, in turn. It takes minutes; a full run of the suites takes hours. Run the suites
/// for full statistics of one question.
/// </summary>
internal static class CompareCommand
{
    public static int Run(CompareOptions options)
    {
        var clock = Stopwatch.StartNew();
#if DEBUG
        Console.WriteLine("This is a debug build: the numbers mean nothing. Run it with -c Release.");
#endif

        // Memory first, while the heap is empty. Later questions leave data of the garbage collector behind.
        Question[] questions =
        [
            .. MemoryQuestions.All(options),
            .. RegionMemoryQuestions.All(options),
            .. GetQuestions.All(options),
            .. EvictQuestions.All(options),
            .. RegionQuestions.All(options),
            .. CreateQuestions.All(),
            .. HybridQuestions.All(),
            .. DistributedQuestions.All(),
            .. PutQuestions.All(options),
            .. WatchQuestions.All(options),
            .. ManyQuestions.All(options),
            .. FloorQuestions.All(options),
            .. ReadFloorQuestions.All(options),
            .. ListQuestions.All(options),
            .. ThreadQuestions.All(options),
            .. PersistQuestions.All(options),
            .. PostgreSqlQuestions.All(options),
            .. HttpQuestions.All(),
            .. OutputCacheQuestions.All(),
        ];
        questions = [.. questions.Where(question => options.Asks(question.Name))];
        var session = new Session(options, new Report(options), new Progress(questions.Length));
        foreach (var question in questions)
        {
            session.Progress.Begin(question.Name);
            question.Ask(session);

            // The stores of one question are freed before the next one begins.
            GC.Collect();
        }

        Progress.Clear();
        session.Report.Write();
        Console.WriteLine($"Took {clock.Elapsed.TotalSeconds:0} s.");
        return 0;
    }
}
