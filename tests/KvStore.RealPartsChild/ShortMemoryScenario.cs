namespace KvStore.RealPartsChild;

/// <summary>
/// A heap with a hard limit, and somebody else who takes all that is left of it, gives some back, and takes it again, while
/// several callers put, delete, list and compact. Then there is memory again, and everything must be as if nothing had been.
/// </summary>
internal static class ShortMemoryScenario
{
    private const int Keys = 3000;

    private static Stack<byte[]>? s_eaten;
    private static readonly TimeSpan s_pressure = TimeSpan.FromSeconds(40);

    public static async Task RunAsync(Arguments arguments)
    {
        // The histories of this process would take the memory that is being measured out: the reader of the pipe keeps it.
        var history = new History(Console.OpenStandardOutput()) { IsKept = false };
        var directory = arguments.Text("directory");
        var kv = await Workload.OpenAsync(directory, Options).BoundedAsync(history, "opening");
        var isOver = false;
        var steps = 0L;

        // As in a process that has been running for a while: what the runtime prepares at the first use of something is there.
        var warm = 0L;
        Write(kv, history, new Random(1), 300, long.MaxValue, ref warm);
        await kv.CompactAsync();
        await StateAsync(kv, "before memory is short");
        AppDomain.CurrentDomain.UnhandledException += (_, e) => SayWhoDied(history, e.ExceptionObject);
        Warm(() => GC.KeepAlive(new byte[int.MaxValue / 2]));
        Warm(() => ArgumentNullException.ThrowIfNull((object?)null, nameof(kv)));

        // Where the last bytes go, every allocation is a collection of everything: on a busy machine ten puts a second. So the time is
        // bounded as well, and what is a hang is decided by whether it goes on.
        var end = Environment.TickCount64 + (long)s_pressure.TotalMilliseconds;
        var eater = new Thread(() => Eat(ref isOver, new Random((int)arguments.Number("seed")))) { IsBackground = true };
        var writers = Enumerable.Range(0, 3).Select(writer =>
        {
            var its = new Random((int)arguments.Number("seed") + writer + 1);
            return new Thread(() => Write(kv, history, its, arguments.Number("steps"), end, ref steps)) { IsBackground = true };
        }).ToArray();
        Array.ForEach(writers, writer => writer.Start());
        var compacting = Task.Run(async () =>
        {
            while (!Volatile.Read(ref isOver))
            {
                try
                {
                    await kv.CompactAsync();
                    await Task.Delay(20);
                }
                catch (Exception e) when (e is OutOfMemoryException or KvPersistenceException)
                {
                    // It says so, and the state must not suffer.
                }
            }
        });

        // Last, so that nothing here is left to be allocated while there is no memory.
        var written = Task.Run(() => Array.ForEach(writers, writer => writer.Join())).WhileItGoesOnAsync(history, "puts while memory is short", () => Volatile.Read(ref steps));
        eater.Start();
        await written;
        Volatile.Write(ref isOver, true);
        eater.Join();
        GC.Collect();
        await compacting.BoundedAsync(history, "compacting while memory is short");

        history.Phase("calm");
        var calm = await StateAsync(kv, "after memory was short");
        for (var i = 0; i < 50; i++)
        {
            var key = $"calm/{i}";
            if (!await PutAsync(kv, history, key, 500))
            {
                history.Violation("there is memory again, but a put is refused");
                break;
            }
        }

        await TryAsync("compacting", () => kv.CompactAsync().AsTask());
        var compacted = await StateAsync(kv, "after a compaction");
        Compare(calm, compacted, "a compaction");
        await TryAsync("disposing", () => kv.DisposeAsync().AsTask());
        kv = await Workload.OpenAsync(directory, Options).BoundedAsync(history, "opening again");
        var again = await StateAsync(kv, "after it was opened again");
        Compare(compacted, again, "opening again");
        await TryAsync("disposing", () => kv.DisposeAsync().AsTask());
        history.Note($"done: {again.Count} entries");

        Task<Dictionary<string, long>> StateAsync(KvNamespace its, string when) =>
            NamespaceState.ReadAsync(its, text => history.Violation($"{when}: {text}"), Enumerable.Range(0, Keys).Select(KeyOf))
                .BoundedAsync(history, $"reading {when}");

        void Compare(Dictionary<string, long> before, Dictionary<string, long> after, string by)
        {
            var lost = before.Where(pair => !after.TryGetValue(pair.Key, out var id) || id != pair.Value).ToArray();
            var come = after.Keys.Except(before.Keys).Where(key => !key.StartsWith("calm/", StringComparison.Ordinal)).ToArray();
            if (lost.Length + come.Length > 0)
            {
                history.Violation($"{by} changed what is there: {lost.Length} lost or other ({string.Join(", ", lost.Take(3))}), {come.Length} came ({string.Join(", ", come.Take(3))})");
            }
        }

        async Task TryAsync(string what, Func<Task> act)
        {
            try
            {
                await act().BoundedAsync(history, what);
            }
            catch (Exception e)
            {
                history.Violation($"{what} after memory was short: {e}");
            }
        }
    }

    /// <summary>Puts until there is no memory, deletes everything, and puts as much again.</summary>
    public static async Task RunUntilItComesBackAsync(Arguments arguments)
    {
        var history = new History(Console.OpenStandardOutput()) { IsKept = false };
        var kv = await Workload.OpenAsync(arguments.Text("directory"), Options with { Durability = Durability.Interval }).BoundedAsync(history, "opening");
        var most = 0;
        for (var round = 0; round < 2; round++)
        {
            // What the process keeps for itself, so that the last puts leave it enough to go on.
            var reserve = await ReserveAsync();
            var count = 0;
            var isTaken = true;
            for (var wait = 0; (isTaken && count < 200_000) || (count < most / 2 && wait < 200); count += isTaken ? 1 : 0)
            {
                isTaken = await PutAsync(kv, history, $"key/{count}", 3000);
                if (!isTaken && count < most / 2)
                {
                    // What was deleted is freed in the background.
                    wait++;
                    GC.Collect();
                    await Task.Delay(50);
                }
            }

            GC.KeepAlive(reserve);
            reserve = null;
            GC.Collect();
            history.Note($"{count} entries until memory was short");
            if (count < most / 2)
            {
                history.Violation($"everything was deleted, but where {most} entries had been, there is memory for {count}");
            }

            most = Math.Max(most, count);
            for (var i = 0; i < count; i++)
            {
                var isDeleted = false;
                for (var wait = 0; !isDeleted && wait < 200; wait++)
                {
                    isDeleted = await EndAsync(history, history.Begin($"key/{i}", Call.Delete), () => kv.DeleteAsync($"key/{i}"));
                    if (!isDeleted)
                    {
                        await Task.Delay(50);
                    }
                }

                if (!isDeleted)
                {
                    history.Violation($"entry {i} of {count} cannot be deleted");
                    return;
                }
            }
        }

        await kv.DisposeAsync().AsTask().BoundedAsync(history, "disposing");
        history.Note($"done: {most} entries");

        // What was deleted is freed in the background.
        static async Task<byte[]?> ReserveAsync()
        {
            for (var wait = 0; ; wait++)
            {
                try
                {
                    return new byte[6 * 1024 * 1024];
                }
                catch (OutOfMemoryException) when (wait < 200)
                {
                    await Task.Delay(50);
                }
            }
        }
    }

    // Called when an exception that nobody catches ends the process. What was eaten is let go of first, so that there is memory for a text.
    private static void SayWhoDied(History history, object exception)
    {
        s_eaten = null;
        GC.Collect();
        history.Note($"died: {Thread.CurrentThread.Name}: {exception.ToString()?.ReplaceLineEndings(" | ")}");
    }

    private static FilePersistenceOptions Options => new()
    {
        Durability = Durability.Immediate,
        LogFileBytes = 1024 * 1024,
        CompactionBytesMin = 4 * 1024 * 1024,
        LargeValueBytes = 64 * 1024,
    };

    // The runtime makes an exception, and reads its message, for the first time.
    private static void Warm(Action fails)
    {
        try
        {
            fails();
        }
        catch (Exception e) when (e.ToString().Length > 0)
        {
            // As it should.
        }
    }

    private static string KeyOf(int number) => $"key/{number:D5}";

    private static void Eat(ref bool isOver, Random random)
    {
        s_eaten = new Stack<byte[]>(1_000_000);
        while (!Volatile.Read(ref isOver) && s_eaten is { } eaten)
        {
            try
            {
                // Nothing small: where the last bytes go, the runtime has no memory for its own exceptions, and ends the process.
                eaten.Push(new byte[random.Next(90_000, 600_000)]);
            }
            catch (OutOfMemoryException)
            {
                Thread.Sleep(random.Next(3));
                for (var i = random.Next(eaten.Count / 4); i > 0; i--)
                {
                    eaten.Pop();
                }
            }
        }

        s_eaten = null;
    }

    private static void Write(KvNamespace kv, History history, Random random, long count, long end, ref long steps)
    {
        for (var i = 0L; i < count && Environment.TickCount64 < end; i++)
        {
            try
            {
                var key = KeyOf(random.Next(Keys));
                var isDelete = random.Next(6) == 0;
                var length = random.Next(50) == 0 ? random.Next(64_000, 200_000) : random.Next(CallValue.LengthMin, 2500);
                var call = history.Begin(key, isDelete ? Call.Delete : length);
                EndAsync(history, call, () => isDelete ? kv.DeleteAsync(key) : kv.PutAsync(key, CallValue.Of(call.Id, length))).GetAwaiter().GetResult();
                Interlocked.Increment(ref steps);
            }
            catch (OutOfMemoryException)
            {
                Interlocked.Increment(ref steps);

                // In this method, not in the namespace: nothing is known about the call.
            }
        }
    }

    private static Task<bool> PutAsync(KvNamespace kv, History history, string key, int length)
    {
        var call = history.Begin(key, length);
        return EndAsync(history, call, () => kv.PutAsync(key, CallValue.Of(call.Id, length)));
    }

    private static async Task<bool> EndAsync(History history, Call call, Func<ValueTask> act)
    {
        try
        {
            await act();
        }
        catch (Exception e) when (e is OutOfMemoryException || e.InnerException is OutOfMemoryException)
        {
            history.End(call, Outcome.Unknown);
            return false;
        }
        catch (KvPersistenceException e)
        {
            history.End(call, Outcome.Refused);
            history.Violation($"the disk is healthy, but a call was refused: {e}");
            return false;
        }
        catch (Exception e)
        {
            history.End(call, Outcome.Refused);
            history.Violation($"a call failed with what no caller expects: {e}");
            return false;
        }

        history.End(call, Outcome.Acknowledged);
        return true;
    }
}
