using System.Globalization;
using KvStore;

/// <summary>A process that writes much more than its budget for memory holds.</summary>
internal static class Evicting
{
    private const int HotKeys = 100;
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
    /// number that was acknowledged, or a key that was evicted before a flush: <c>hot key number</c>, <c>gone number</c>.
    /// </summary>
    public static async Task<int> UntilKilledAsync(string directory, int first)
    {
        await using var kv = await OpenAsync(directory, KvMemoryOptions.BytesMaxMin, Durability.Immediate);
        var gone = first;
        for (var number = first; ; number++)
        {
            var puts = new List<Task>();
            for (var i = 0; i < 50; i++)
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

            // A batch of which nothing is left stays away, once everything is flushed.
            if (number % 10 == 0)
            {
                var all = new List<int>();
                for (; gone < number && Enumerable.Range(0, 50).All(i => !kv.TryGet(ColdKey(gone, i), out _)); gone++)
                {
                    all.Add(gone);
                }

                await kv.FlushAsync();
                all.ForEach(batch => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"gone {batch}")));
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
