namespace KvStore.RealPartsChild;

/// <summary>
/// The whole life of a namespace, again and again in a new directory: opened, written by several callers, compacted, copied,
/// closed. Each time another call of one kind fails. Then the namespace is opened again without failures, and must have the
/// acknowledged state.
/// </summary>
internal static class FailingCallsScenario
{
    private const int Keys = 12;

    public static async Task RunAsync(Arguments arguments)
    {
        var history = new History(Console.OpenStandardOutput());
        var run = new Run(
            Shim.Get(),
            history,
            arguments.Text("directory"),
            arguments.Name<CallKind>("kind"),
            arguments.Name<CallAction>("action"),
            arguments.Name<CallError>("error"),
            arguments.Number("for-good") != 0,
            arguments.Name("durability", Durability.Immediate));
        var seed = (int)arguments.Number("seed");
        var runsMax = arguments.Number("runs", long.MaxValue);

        // Nothing fails, to see how many calls there are.
        await run.OnceAsync(long.MaxValue, new Random(seed));
        var calls = run.Calls;
        if (calls == 0)
        {
            history.Violation($"no call of the kind {arguments.Name<CallKind>("kind")} was seen, so nothing is tested: the preloaded library does not know how it is made");
        }

        var random = new Random(seed);
        var step = Math.Max(1, calls / runsMax);
        var runs = 0;
        for (var call = 1 + random.NextInt64(step); call <= calls; call += step)
        {
            await run.OnceAsync(call, new Random(unchecked((seed * 31) + (int)call)));
            runs++;
        }

        // A run may make fewer calls than the one that counted them: the early ones are made by all.
        for (var call = 1L; run.Failures == 0 && call <= calls; call++)
        {
            await run.OnceAsync(call, new Random(unchecked((seed * 31) + (int)call)));
            runs++;
        }

        if (calls > 0 && run.Failures == 0)
        {
            history.Violation("no run met a call that failed, so nothing is tested");
        }

        history.Note($"done: {runs} runs over {calls} calls, {run.Failures} of them with a failure");
    }

    private sealed class Run(
        Shim shim, History output, string directory, CallKind kind, CallAction action, CallError error, bool isForGood, Durability durability)
    {
        private readonly FilePersistenceOptions _options = new()
        {
            LogFileBytes = 4 * 1024,
            CompactionBytesMin = 16 * 1024,
            LargeValueBytes = Workload.LargeBytes,
            Durability = durability,
        };

        /// <summary>The calls of the kind in the last run.</summary>
        public long Calls { get; private set; }

        /// <summary>The runs in which a call failed.</summary>
        public int Failures { get; private set; }

        // Interrupted, or less done than asked for: that is no failure, and nobody but the code that called sees it.
        private bool IsHarmless => error == CallError.Interrupted || action == CallAction.Short;

        // Nothing was written, and there is enough again at the next call: that put fails, and no other.
        private bool IsShortage => error is CallError.TooManyFiles or CallError.TooManyFilesInSystem && action == CallAction.Fail && !isForGood;

        public async Task OnceAsync(long call, Random random)
        {
            var kvDirectory = Path.Combine(directory, "kv");
            var copyDirectory = Path.Combine(directory, "copy");
            foreach (var old in new[] { kvDirectory, copyDirectory }.Where(Directory.Exists))
            {
                Directory.Delete(old, recursive: true);
            }

            var history = new History();
            var isCopied = false;
            shim.Arm(directory, kind, call, action, error, isForGood);
            var kv = await TryAsync("opening", () => Workload.OpenAsync(kvDirectory, _options));
            var copyFrom = 0L;
            if (kv is not null)
            {
                var workload = new Workload(kv, history, Keys);
                await WriteAsync(workload, steps: 12);
                await TryActAsync("compacting", () => kv.CompactAsync().AsTask());
                await WriteAsync(workload, steps: 5);
                copyFrom = history.Now;
                isCopied = await TryActAsync("copying", () => kv.SnapshotAsync(copyDirectory).AsTask());
                await WriteAsync(workload, steps: 5);
                await TryActAsync("flushing", () => kv.FlushAsync().AsTask());
                if (random.Next(2) == 0)
                {
                    Calls = shim.Count(kind);
                    shim.Disarm();
                    await CheckAsync(kv, "what readers see");
                    if (IsShortage && shim.Fired > 0 && !await workload.PutAsync("after", Workload.LargeBytes))
                    {
                        Say("nothing was written and it is over, but puts are still refused");
                    }
                }

                await TryActAsync("disposing", () => kv.DisposeAsync().AsTask());
            }

            Calls = Math.Max(Calls, shim.Count(kind));
            shim.Disarm();
            Failures += shim.Fired > 0 ? 1 : 0;
            if (IsHarmless && history.Calls.Any(c => c.Outcome == Outcome.Refused))
            {
                Say("what is no failure failed a put");
            }

            if (!isForGood && shim.FiredPath.StartsWith(copyDirectory, StringComparison.Ordinal) && history.Calls.Any(c => c.Outcome == Outcome.Refused))
            {
                Say("the target of a copy failed, and puts were refused");
            }

            if (isCopied)
            {
                await OpenAndCheckAsync(copyDirectory, "the copy", copyFrom, puts: false);
            }

            await OpenAndCheckAsync(kvDirectory, "what is there when it is opened again", long.MaxValue, puts: true);

            async Task WriteAsync(Workload workload, int steps)
            {
                var writers = Enumerable.Range(0, 3).Select(_ =>
                {
                    var its = new Random(random.Next());
                    return Task.Run(async () =>
                    {
                        for (var i = 0; i < steps; i++)
                        {
                            await workload.StepAsync(its);
                        }
                    });
                }).ToArray();
                await Task.WhenAll(writers).BoundedAsync(output, () => $"{Where()}: puts{Waiting.OpenCalls(history)}");
                foreach (var violation in history.Violations)
                {
                    Say(violation);
                }
            }

            async Task<T?> TryAsync<T>(string what, Func<Task<T>> act)
            {
                try
                {
                    return await act().BoundedAsync(output, () => $"{Where()}: {what}");
                }
                catch (KvPersistenceException e)
                {
                    if (IsHarmless)
                    {
                        Say($"{what} failed by what is no failure: {e}");
                    }
                    else if (shim.Fired == 0)
                    {
                        Say($"{what} failed, and no call had: {e}");
                    }
                }
                catch (Exception e)
                {
                    Say($"{what} failed with what no caller expects: {e}");
                }

                return default;
            }

            async Task<bool> TryActAsync(string what, Func<Task> act) => await TryAsync(what, async () =>
            {
                await act();
                return true;
            });

            async Task CheckAsync(KvNamespace its, string what, long from = long.MaxValue)
            {
                var state = await NamespaceState.ReadAsync(its, text => Say($"{what}: {text}"), Enumerable.Range(0, Keys).Select(i => $"key/{i}"))
                    .BoundedAsync(output, () => $"{Where()}: reading");
                foreach (var violation in HistoryCheck.Violations(new Dictionary<string, long>(), history.Calls, state, from))
                {
                    Say($"{what}: {violation}");
                }
            }

            async Task OpenAndCheckAsync(string path, string what, long from, bool puts)
            {
                try
                {
                    await using var again = await Workload.OpenAsync(path, _options).BoundedAsync(output, () => $"{Where()}: {what}");
                    await CheckAsync(again, what, from);
                    if (puts)
                    {
                        await again.PutAsync("again", "it works");
                    }
                }
                catch (Exception e)
                {
                    Say($"{what}: {e}");
                }
            }

            string Where() => $"{kind} {call} ({Path.GetFileName(shim.FiredPath)}): {action} {error}{(isForGood ? " for good" : "")}";

            void Say(string text) => output.Violation($"{Where()}: {text}");
        }
    }
}
