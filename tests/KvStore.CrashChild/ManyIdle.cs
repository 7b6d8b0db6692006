using System.Globalization;
using KvStore;

/// <summary>
/// Many namespaces in a process that may have little more than as many files open: each is opened, written to, at rest, written to
/// again, closed, and opened again with everything in it.
/// </summary>
internal static class ManyIdle
{
    public static async Task<int> RunAsync(string directory, int count, Durability durability)
    {
        var open = new KvNamespace[count];
        for (var i = 0; i < count; i++)
        {
            open[i] = await OpenAsync(directory, i, durability);
            await open[i].PutAsync("first", Text(i));
        }

        // Beside them: one large value at a time, a compaction, a copy.
        await open[0].PutAsync("large", new byte[1_000_000]);
        await open[0].CompactAsync();
        await open[1].SnapshotAsync(Path.Combine(directory, "copy"));

        // At rest everything that was acknowledged is on its way, and writing takes a descriptor for a moment.
        for (var round = 0; round < 2; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, count).Select(i => open[i].PutAsync("second", Text(i + round)).AsTask()));
        }

        var descriptors = Directory.GetFiles("/proc/self/fd").Length;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"descriptors {descriptors} with {count} namespaces"));
        for (var i = 0; i < count; i++)
        {
            if (open[i].Health.Status != KvPersistenceStatus.Healthy)
            {
                Console.WriteLine($"{i} is not well: {open[i].Health.Reason}");
                return 1;
            }

            await open[i].DisposeAsync();
        }

        for (var i = 0; i < count; i++)
        {
            await using var again = await OpenAsync(directory, i, durability);
            if (await again.GetTextAsync("first") != Text(i) || await again.GetTextAsync("second") != Text(i + 1))
            {
                Console.WriteLine($"{i} has lost something");
                return 1;
            }
        }

        Console.WriteLine("done");
        return 0;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task<KvNamespace> OpenAsync(string directory, int number, Durability durability) =>
        await KvNamespace.OpenAsync($"KV{number}", new KvNamespaceOptions
        {
            Persistence = new FilePersistence(Path.Combine(directory, Text(number)), new FilePersistenceOptions { Durability = durability, LogFileBytes = 65536 }),
        });
}
