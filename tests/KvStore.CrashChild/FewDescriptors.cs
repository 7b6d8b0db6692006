using System.Globalization;
using KvStore;

/// <summary>
/// A process that may have few files open (ulimit -n): namespaces are opened until that fails, which must lose nothing and say what
/// to do; afterwards everything works again.
/// </summary>
internal static class FewDescriptors
{
    public static async Task<int> RunAsync(string directory)
    {
        // What the runtime has to load for all of this, it loads while it can.
        await using (var first = await OpenAsync(directory, 100_000))
        {
            await first.PutAsync("key", new byte[1_000_000]);
            await first.CompactAsync();
        }

        try
        {
            await OpenAsync(typeof(FewDescriptors).Assembly.Location, 0);
        }
        catch (KvPersistenceException e)
        {
            Console.WriteLine(e.Message);
        }

        var open = new List<KvNamespace>();
        string? refusal = null;
        while (refusal is null)
        {
            try
            {
                open.Add(await OpenAsync(directory, open.Count));
                await open[^1].PutAsync("key", $"{open.Count - 1}");
            }
            catch (KvPersistenceException e)
            {
                refusal = e.Message;
            }
        }

        Console.WriteLine(refusal);
        var written = open.Count(kv => kv.TryGet("key", out _));

        // None is free: what needs none goes on, what needs one fails and says why.
        for (var i = 0; i < written; i++)
        {
            await open[i].PutAsync("second", "small");
        }

        try
        {
            using var last = File.OpenRead(typeof(FewDescriptors).Assembly.Location);
            await open[0].PutAsync("large", new byte[1_000_000]);
            Console.WriteLine("a large value was put");
        }
        catch (Exception e) when (e is KvPersistenceException or IOException)
        {
            Console.WriteLine($"large: {e.Message}");
        }

        // Some are free again.
        for (var i = 0; i < 10; i++)
        {
            await open[^1].DisposeAsync();
            open.RemoveAt(open.Count - 1);
        }

        await open[0].PutAsync("large", new byte[1_000_000]);
        await open[0].CompactAsync();
        open.Add(await OpenAsync(directory, open.Count));
        for (var i = 0; i < open.Count; i++)
        {
            if (await open[i].GetTextAsync("key") != i.ToString(CultureInfo.InvariantCulture))
            {
                Console.WriteLine($"{i} has lost its key");
                return 1;
            }

            // What could not be written while no descriptor was left is written now.
            await open[i].PutAsync("third", "x");
            await FlushAsync(open[i]);
            if (open[i].Health is { Status: not KvPersistenceStatus.Healthy } health)
            {
                Console.WriteLine($"{i} is not well: {health}");
                return 1;
            }
        }

        foreach (var kv in open)
        {
            await kv.DisposeAsync();
        }

        Console.WriteLine($"opened {written}");
        return 0;
    }

    // A log waits 630 ms at most for a descriptor that another one gives back, and says that nothing is lost and that the flush may be tried again.
    private static async Task FlushAsync(KvNamespace kv)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await kv.FlushAsync();
                return;
            }
            catch (KvPersistenceException e) when (e.Message.Contains("ulimit -n", StringComparison.Ordinal) && attempt < 20)
            {
                await Task.Delay(100);
            }
        }
    }

    private static async Task<KvNamespace> OpenAsync(string directory, int number) =>
        await KvNamespace.OpenAsync($"KV{number}", new KvNamespaceOptions
        {
            Persistence = new FilePersistence(Path.Combine(directory, $"{number}"), new FilePersistenceOptions { Durability = Durability.Buffered }),
        });
}
