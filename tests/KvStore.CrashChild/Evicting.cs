using System.Globalization;
using KvStore;

/// <summary>A process that writes much more than its budget for memory holds.</summary>
internal static class Evicting
{
    private const int HotKeys = 100;
    private const int ColdKeys = 50;

    // How many batches later a key is looked for.
    private const int Look = 120;
    private const int ValueBytes = 300;

    /// <summary>
    /// Under a hard limit of the heap: writes ten times the budget from several threads, beside a reader, and says how much the process
    /// held at the most, whatever is garbage left out.
    /// </summary>
    public static async Task<int> FillAsync(string directory, long budget, int writers)
    {
        await using var kv = await OpenAsync(directory.Length == 0 ? null : directory, budget, Durability.Buffered);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var written = 0L;
        var isOver = false;
        var reader = Task.Run(() =>
        {
            var random = new Random(1);
            while (!Volatile.Read(ref isOver))
            {
                kv.TryGet($"{random.Next(writers)} {random.Next(10_000)}", out _);
            }
        });
        var most = 0L;
        await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            for (var number = 0; Volatile.Read(ref written) < 10 * budget; number++)
            {
                var value = new byte[random.Next(10) == 0 ? random.Next(20_000) : random.Next(500)];
                await kv.PutAsync($"{writer} {number}", value);
                Interlocked.Add(ref written, value.Length + 40);
                if (number % 500 == 0)
                {
                    // What waits for a slow disk is not what is measured.
                    await kv.FlushAsync();
                }

                if (writer == 0 && number % 2000 == 0)
                {
                    most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
                }
            }
        })));
        Volatile.Write(ref isOver, true);
        await reader;
        most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"held {most}, counted {kv.MemoryBytes}, evicted {kv.EvictedCount}, written {written}"));
        return 0;
    }

    /// <summary>
    /// To be killed: puts numbers to a few keys that it reads all the time, and keys that nobody reads; each line on standard output is a
    /// number that was acknowledged, or a key that was evicted before a flush: <c>hot key number</c>, <c>gone batch number</c>.
    /// </summary>
    public static async Task<int> UntilKilledAsync(string directory, int first)
    {
        await using var kv = await OpenAsync(directory, KvMemoryOptions.BytesMaxMin, Durability.Immediate);
        var inspector = new KvInspector(kv);
        for (var number = first; ; number++)
        {
            var puts = new List<Task>();
            for (var i = 0; i < ColdKeys; i++)
            {
                puts.Add(kv.PutAsync(ColdKey(number, i), ValueOf(number)).AsTask());
            }

            var hot = number % HotKeys;
            puts.Add(kv.PutAsync(HotKey(hot), ValueOf(number)).AsTask());
            await Task.WhenAll(puts);
            for (var i = 0; i < HotKeys; i++)
            {
                kv.TryGet(HotKey(i), out _);
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"hot {hot} {number}"));

            // What has left by now stays away, once everything is flushed. An inspector is no reader.
            if (number % 10 == 0 && number - Look >= first)
            {
                var gone = Enumerable.Range(number - Look, 10)
                    .SelectMany(batch => Enumerable.Range(0, ColdKeys).Select(i => (Batch: batch, Number: i)))
                    .Where(key => !inspector.Peek(ColdKey(key.Batch, key.Number)).Exists).ToArray();
                await kv.FlushAsync();
                foreach (var key in gone)
                {
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"gone {key.Batch} {key.Number}"));
                }
            }
        }
    }

    /// <summary>The key of a batch that nobody reads.</summary>
    public static string ColdKey(int number, int i) => string.Create(CultureInfo.InvariantCulture, $"cold {number} {i}");

    /// <summary>A key that is read all the time.</summary>
    public static string HotKey(int number) => string.Create(CultureInfo.InvariantCulture, $"hot {number}");

    private static byte[] ValueOf(int number)
    {
        var value = new byte[ValueBytes];
        BitConverter.TryWriteBytes(value, number);
        return value;
    }

    private static ValueTask<KvNamespace> OpenAsync(string? directory, long budget, Durability durability) => KvNamespace.OpenAsync(
        "CACHE",
        new KvNamespaceOptions
        {
            Memory = new KvMemoryOptions { BytesMax = budget, WhenFull = KvMemoryPolicy.Evict },
            Persistence = directory is null ? null : new FilePersistence(directory, new FilePersistenceOptions
            {
                Durability = durability,
                LogFileBytes = 1 << 20,
                CompactionBytesMin = 1 << 20,
            }),
        });
}
