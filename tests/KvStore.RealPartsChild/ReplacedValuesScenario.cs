namespace KvStore.RealPartsChild;

/// <summary>
/// Many callers replace large values on a disk that has hardly more space than their files take, beside small puts, with a
/// relaxed durability. The files of replaced values stay until the log is flushed, and the log needs space for that.
/// </summary>
internal static class ReplacedValuesScenario
{
    private const int Callers = 16;
    private const int LargeMin = 262_000;
    private const int LargeMax = 400_000;

    // How full the disk becomes depends on how many replacements wait for a flush at once. It goes on until it was full.
    private const int RoundsMax = 40;

    public static async Task RunAsync(Arguments arguments)
    {
        var directory = Path.Combine(arguments.Text("disk"), "kv");
        var random = new Random((int)arguments.Number("seed"));
        var history = new History(Console.OpenStandardOutput());
        var options = new FilePersistenceOptions
        {
            Durability = arguments.Name<Durability>("durability"),
            LogFileBytes = (int)arguments.Number("log-bytes"),
            CompactionBytesMin = 1024 * 1024,
            LargeValueBytes = 256 * 1024,
        };
        var refusedLarge = 0;
        var kv = await Workload.OpenAsync(directory, options).BoundedAsync(history, "opening");
        for (var round = 0; round < arguments.Number("rounds") || (refusedLarge == 0 && round < RoundsMax); round++)
        {
            var workload = new Workload(kv, history, Callers);
            await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller =>
            {
                var its = new Random(random.Next());
                return Task.Run(async () =>
                {
                    for (var i = 0; i < 40; i++)
                    {
                        if (!await workload.PutAsync($"large/{caller}", its.Next(LargeMin, LargeMax), its.Next(3)))
                        {
                            Interlocked.Increment(ref refusedLarge);
                        }

                        for (var small = its.Next(4); small > 0; small--)
                        {
                            await workload.PutAsync($"small/{its.Next(200)}", its.Next(CallValue.LengthMin, 2000), its.Next(3));
                        }

                        if (its.Next(10) == 0)
                        {
                            await workload.DeleteAsync($"small/{its.Next(200)}");
                        }
                    }
                });
            })).BoundedAsync(history, $"puts, round {round}");
            await CheckAsync("what readers see");

            // Everything acknowledged can be written, so all of this succeeds without more space.
            await TryAsync("flushing", () => kv.FlushAsync());
            await TryAsync("opening again while it is open", () => kv.ReopenAsync());
            if (!await workload.PutAsync("small/0", CallValue.LengthMin) || !await workload.PutAsync("large/0", LargeMin))
            {
                history.Violation($"replaced values are gone, but a put is refused, round {round}: {Listing(directory)}");
            }

            // With puts that were acknowledged a moment before.
            for (var caller = 0; caller < Callers; caller++)
            {
                await workload.PutAsync($"large/{caller}", random.Next(LargeMin, LargeMax));
                await workload.PutAsync($"small/{caller}", random.Next(CallValue.LengthMin, 2000));
            }

            await TryAsync("disposing", () => kv.DisposeAsync());
            kv = await Workload.OpenAsync(directory, options).BoundedAsync(history, $"opening, round {round}");
            await CheckAsync("what is there when it is opened again");

            async Task CheckAsync(string what)
            {
                var state = await NamespaceState.ReadAsync(kv, text => history.Violation($"{what}, round {round}: {text}"));
                foreach (var violation in HistoryCheck.Violations(new Dictionary<string, long>(), history.Calls, state))
                {
                    history.Violation($"{what}, round {round}: {violation}");
                }
            }

            async Task TryAsync(string what, Func<ValueTask> act)
            {
                try
                {
                    await act().AsTask().BoundedAsync(history, $"{what}, round {round}");
                }
                catch (KvPersistenceException e)
                {
                    history.Violation($"{what} failed, round {round}: {e}");
                }
            }
        }

        await kv.DisposeAsync();

        static string Listing(string directory) => string.Join(", ", new DirectoryInfo(directory).GetFiles().Select(file => $"{file.Name} {file.Length}"));

        history.Note($"done: {history.Calls.Count} calls, {refusedLarge} large puts refused");
    }
}
