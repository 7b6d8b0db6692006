using System.Globalization;
using System.Text;
using KvStore;

/// <summary>
/// Increments one counter from 16 tasks until it is killed. Each number is a line on standard output when its increment has completed.
/// </summary>
internal static class Counting
{
    private const int Tasks = 16;

    public static async Task<int> RunAsync(string directory)
    {
        await using var kv = await KvNamespace.OpenAsync("COUNTED", new KvNamespaceOptions
        {
            Persistence = new FilePersistence(directory, new FilePersistenceOptions { LogFileBytes = 32 * 1024, CompactionBytesMin = 64 * 1024 }),
        });
        var output = Console.OpenStandardOutput();
        var outputLock = new Lock();
        await Task.WhenAll(Enumerable.Range(0, Tasks).Select(_ => Task.Run(async () =>
        {
            while (true)
            {
                var line = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{await kv.IncrementAsync("n")}\n"));
                lock (outputLock)
                {
                    output.Write(line);
                }
            }
        })));
        return 0;
    }
}
