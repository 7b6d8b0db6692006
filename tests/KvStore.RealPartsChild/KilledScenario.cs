namespace KvStore.RealPartsChild;

/// <summary>
/// Opens a namespace, writes with several callers on the same keys, compacts, copies and closes it, over and over, until it is
/// killed. With <c>phase</c>, <c>call</c> and <c>action</c> it kills itself at the n-th system call of the first such phase.
/// </summary>
internal static class KilledScenario
{
    public static async Task RunAsync(Arguments arguments)
    {
        var directory = arguments.Text("directory");
        var random = new Random((int)arguments.Number("seed"));
        var history = new History(Console.OpenStandardOutput(), arguments.Number("first", 1));
        var shim = Shim.Find();
        var isArmed = false;
        for (var round = 0; ; round++)
        {
            Enter("opening");
            var kv = await Workload.OpenAsync(directory).BoundedAsync(history, "opening");
            Enter("open");
            var steps = 0L;
            var isClosing = false;
            var workload = new Workload(kv, history, (int)arguments.Number("keys", 30))
            {
                // The disk is healthy: nothing fails but what comes after the namespace was closed.
                Expects = e => e is ObjectDisposedException && Volatile.Read(ref isClosing),
            };
            var writers = Enumerable.Range(0, (int)arguments.Number("writers", 4)).Select(_ =>
            {
                var its = new Random(random.Next());
                return Task.Run(async () =>
                {
                    while (await workload.StepAsync(its))
                    {
                        Interlocked.Increment(ref steps);
                    }
                });
            }).ToArray();

            for (var i = random.Next(1, 4); i >= 0; i--)
            {
                var until = Interlocked.Read(ref steps) + random.Next(10, 120);
                while (Interlocked.Read(ref steps) < until && writers.Any(writer => !writer.IsCompleted))
                {
                    await Task.Delay(1);
                }

                if (i % 2 == 0)
                {
                    Enter("compacting");
                    await kv.CompactAsync().AsTask().BoundedAsync(history, "compacting");
                    Enter("compacted");
                }
                else
                {
                    var copy = $"{history.NextId}-{round}-{i}";
                    Enter($"copying {copy}");
                    await kv.SnapshotAsync(Path.Combine(arguments.Text("copies"), copy)).AsTask().BoundedAsync(history, "copying");
                    Enter($"copied {copy}");
                }
            }

            Volatile.Write(ref isClosing, true);
            Enter("disposing");
            await kv.DisposeAsync().AsTask().BoundedAsync(history, "disposing");
            Enter("disposed");
            await Task.WhenAll(writers).BoundedAsync(history, "the calls that were open when it was disposed");
        }

        void Enter(string phase)
        {
            history.Phase(phase);
            if (!isArmed && shim is not null && arguments.Number("call") > 0 && phase.Split(' ')[0] == arguments.Text("phase"))
            {
                isArmed = true;
                shim.Arm(
                    arguments.Text("below"),
                    arguments.Name<CallKind>("kind"),
                    arguments.Number("call"),
                    arguments.Name("action", CallAction.Kill),
                    CallError.InputOutput,
                    isForGood: false);
            }
        }
    }
}
