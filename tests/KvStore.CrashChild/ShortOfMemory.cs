using KvStore;

/// <summary>
/// A process whose heap has a hard limit (DOTNET_GCHeapHardLimit): callers put and delete while another thread allocates up to the
/// limit and lets go again. Afterwards everything acknowledged must be there: got, listed, compacted, and opened again.
/// </summary>
internal static class ShortOfMemory
{
    private const int Callers = 4;
    private const int KeysPerCaller = 2000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private static int s_refused;
    private static volatile bool s_isOver;

    public static async Task<int> RunAsync(string directory, int seed, TimeSpan duration)
    {
        var options = new KvNamespaceOptions
        {
            Persistence = new FilePersistence(directory, new FilePersistenceOptions
            {
                Durability = Durability.Buffered,
                LogFileBytes = 1024 * 1024,
                CompactionBytesMin = 1 << 30,
            }),
        };
        var kv = await KvNamespace.OpenAsync("KV", options);

        // The number of the last write of each key that was acknowledged; 0 for none, negative for a delete.
        var expected = Enumerable.Range(0, Callers).Select(_ => new int[KeysPerCaller]).ToArray();
        var keys = Enumerable.Range(0, Callers)
            .Select(caller => Enumerable.Range(0, KeysPerCaller).Select(number => $"{caller}/key {number:D6}").ToArray()).ToArray();
        // Memory becomes short when all callers are under way: what this program allocates to start them is not what is tried here.
        using var started = new CountdownEvent(Callers);
        var writers = Enumerable.Range(0, Callers)
            .Select(caller => Task.Run(() => WriteAsync(kv, keys[caller], expected[caller], seed + caller, started))).ToArray();
        started.Wait();
        var pressure = new Thread(() => Press(seed)) { IsBackground = true };
        pressure.Start();
        Thread.Sleep(duration);
        s_isOver = true;
        pressure.Join();
        await Task.WhenAll(writers).WaitAsync(s_patience);
        if (Differences(kv, keys, expected) is { } wrong)
        {
            return Say($"after the pressure: {wrong}");
        }

        await kv.CompactAsync().AsTask().WaitAsync(s_patience);
        if (Differences(kv, keys, expected) is { } wrongAfterCompaction)
        {
            return Say($"after a compaction: {wrongAfterCompaction}");
        }

        await kv.DisposeAsync().AsTask().WaitAsync(s_patience);
        kv = await KvNamespace.OpenAsync("KV", options);
        if (Differences(kv, keys, expected) is { } wrongAfterOpening)
        {
            return Say($"opened again: {wrongAfterOpening}");
        }

        foreach (var key in keys.SelectMany(its => its))
        {
            await kv.DeleteAsync(key);
        }

        if (kv.Count != 0)
        {
            return Say($"{kv.Count} entries are left though everything was deleted");
        }

        await kv.DisposeAsync().AsTask().WaitAsync(s_patience);
        Console.WriteLine($"refused {s_refused}");
        return 0;
    }

    // Up to the limit in ever smaller parts, so that the others feel it, and then all of it is let go.
    private static void Press(int seed)
    {
        var held = new List<byte[]>(100_000);
        var random = new Random(seed);
        while (!s_isOver)
        {
            for (var size = 4 * 1024 * 1024; size >= 100_000 && !s_isOver;)
            {
                try
                {
                    held.Add(GC.AllocateUninitializedArray<byte>(size));
                }
                catch (OutOfMemoryException)
                {
                    size /= 2;
                }
            }

            Thread.Sleep(random.Next(1, 30));
            held.Clear();
            Thread.Sleep(random.Next(1, 30));
        }
    }

    private static async Task WriteAsync(KvNamespace kv, string[] keys, int[] expected, int seed, CountdownEvent started)
    {
        // The first wait moves this method's state to the heap, once for all.
        await Task.Yield();
        started.Signal();
        var random = new Random(seed);
        var value = new byte[2000];
        for (var number = 1; !s_isOver; number++)
        {
            var key = random.Next(keys.Length);
            var isDelete = random.Next(4) == 0;
            BitConverter.TryWriteBytes(value, number);
            while (true)
            {
                try
                {
                    if (isDelete)
                    {
                        await kv.DeleteAsync(keys[key]);
                        expected[key] = -number;
                    }
                    else
                    {
                        await kv.PutAsync(keys[key], value.AsMemory(0, 8 + random.Next(value.Length - 8)));
                        expected[key] = number;
                    }

                    break;
                }
                catch (Exception e) when (e is OutOfMemoryException or KvPersistenceException { InnerException: OutOfMemoryException })
                {
                    // What became of it is known only when it was refused at once; so it is written again until it is taken.
                    Interlocked.Increment(ref s_refused);
                    Thread.Sleep(1);
                }
            }
        }
    }

    private static string? Differences(KvNamespace kv, string[][] keys, int[][] expected)
    {
        var listed = new HashSet<string>(StringComparer.Ordinal);
        string? cursor = null;
        do
        {
            var page = kv.ListAsync(new KvListOptions { Cursor = cursor }).AsTask().GetAwaiter().GetResult();
            listed.UnionWith(page.Keys.Select(key => key.Name));
            cursor = page.Cursor;
        }
        while (cursor is not null);

        var count = 0;
        for (var caller = 0; caller < keys.Length; caller++)
        {
            for (var i = 0; i < keys[caller].Length; i++)
            {
                var number = expected[caller][i];
                count += number > 0 ? 1 : 0;
                var isThere = kv.TryGet(keys[caller][i], out var value);
                if (isThere != number > 0 || (isThere && BitConverter.ToInt32(value.GetBytes().Span) != number))
                {
                    return $"{keys[caller][i]} should be {number}, and is {(isThere ? BitConverter.ToInt32(value.GetBytes().Span) : 0)}";
                }

                if (isThere != listed.Contains(keys[caller][i]))
                {
                    return $"{keys[caller][i]} is {(isThere ? "" : "not ")}got and {(isThere ? "not " : "")}listed";
                }
            }
        }

        return kv.Count == count && listed.Count == count ? null : $"{count} entries should be there; {kv.Count} are counted and {listed.Count} listed";
    }

    private static int Say(string wrong)
    {
        Console.WriteLine(wrong);
        return 1;
    }
}
