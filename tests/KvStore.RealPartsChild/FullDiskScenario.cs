namespace KvStore.RealPartsChild;

/// <summary>
/// A disk that is really full, and then is not: small puts by many beside one large value until there is no room, room again,
/// over and over, now with the same namespace and now with one that was opened again.
/// </summary>
internal static class FullDiskScenario
{
    private const int Callers = 24;
    private const int Keys = 60;
    private const int StepsMax = 300;

    public static async Task RunAsync(Arguments arguments)
    {
        var disk = arguments.Text("disk");
        var directory = Path.Combine(disk, "kv");
        var filler = Path.Combine(disk, "filler");
        var random = new Random((int)arguments.Number("seed"));
        var history = new History(Console.OpenStandardOutput());
        var options = new FilePersistenceOptions
        {
            LogFileBytes = 256 * 1024,
            CompactionBytesMin = 1024 * 1024,
            LargeValueBytes = 64 * 1024,
        };
        var refused = 0;
        var kv = await Workload.OpenAsync(directory, options).BoundedAsync(history, "opening");
        for (var round = 0; round < arguments.Number("rounds"); round++)
        {
            Fill(filler, new DriveInfo(disk).AvailableFreeSpace - random.Next(100_000, 3_000_000));
            var workload = new Workload(kv, history, Keys);
            var isFull = false;
            var callers = Enumerable.Range(0, Callers).Select(caller =>
            {
                var its = new Random(random.Next());
                return Task.Run(async () =>
                {
                    // A few after the first that fails, as of callers who try again. Where replaced values make space for the next ones,
                    // and compaction for the log, the disk may never be full.
                    var more = 3;
                    for (var steps = 0; more > 0 && steps < StepsMax; steps++)
                    {
                        var key = $"key/{its.Next(Keys)}";
                        var isTaken = caller switch
                        {
                            0 => await workload.PutAsync($"large/{its.Next(3)}", its.Next(100_000, 2_000_000), its.Next(3)),
                            1 => await workload.DeleteAsync(key),
                            _ => await workload.PutAsync(key, its.Next(CallValue.LengthMin, 3000), its.Next(3)),
                        };
                        if (!isTaken)
                        {
                            Volatile.Write(ref isFull, true);
                        }

                        more -= Volatile.Read(ref isFull) ? 1 : 0;
                    }
                });
            }).ToArray();
            await Task.WhenAll(callers).BoundedAsync(history, $"puts on a full disk, round {round}");
            refused += history.Calls.Count(call => call.Outcome == Outcome.Refused);
            await CheckAsync("what readers see on a full disk");

            File.Delete(filler);
            var isTakenAgain = await workload.PutAsync("key/0", CallValue.LengthMin);
            if (!isTakenAgain || random.Next(2) == 0)
            {
                await DisposeAsync(kv).BoundedAsync(history, $"disposing, round {round}");
                kv = await Workload.OpenAsync(directory, options).BoundedAsync(history, $"opening again, round {round}");
                workload = new Workload(kv, history, Keys);
                await CheckAsync("what is there when it is opened again");
            }

            if (!await workload.PutAsync("key/1", CallValue.LengthMin))
            {
                history.Violation($"there is room again and it was opened again, but a put is refused, round {round}");
            }

            async Task CheckAsync(string what)
            {
                var state = await NamespaceState.ReadAsync(kv, text => history.Violation($"{what}, round {round}: {text}"));
                foreach (var violation in HistoryCheck.Violations(new Dictionary<string, long>(), history.Calls, state))
                {
                    history.Violation($"{what}, round {round}: {violation}");
                }
            }
        }

        await DisposeAsync(kv).BoundedAsync(history, "disposing");
        history.Note($"done: {history.Calls.Count} calls, {history.Calls.Count(call => call.Outcome == Outcome.Refused)} refused");

        async Task DisposeAsync(KvNamespace its)
        {
            try
            {
                await its.DisposeAsync();
            }
            catch (KvPersistenceException)
            {
                // It may say that it could not write; everything acknowledged must be there all the same.
            }
        }
    }

    private static void Fill(string path, long bytes)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        var block = new byte[64 * 1024];
        try
        {
            for (var written = 0L; written < bytes; written += block.Length)
            {
                file.Write(block);
            }

            file.Flush(flushToDisk: true);
        }
        catch (IOException)
        {
            // Full already.
        }
    }
}
