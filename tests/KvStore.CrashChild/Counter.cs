using System.Globalization;
using System.Text;
using KvStore;

/// <summary>
/// Many tasks increment one counter, each by reading it and putting the next number on the condition that nobody else has. Now and then they
/// touch it. A number is told when its put has completed.
/// </summary>
internal static class Counter
{
    private const int Tasks = 16;

    public static async Task<int> RunAsync(string directory)
    {
        await using var kv = await KvNamespace.OpenAsync("COUNTER", new KvNamespaceOptions
        {
            Persistence = new FilePersistence(directory, new FilePersistenceOptions { LogFileBytes = 16 * 1024, CompactionBytesMin = 32 * 1024 }),
        });
        var output = Console.OpenStandardOutput();
        var gate = new Lock();
        await Task.WhenAll(Enumerable.Range(0, Tasks).Select(_ => Task.Run(async () =>
        {
            while (true)
            {
                var present = await kv.GetAsync("n");
                var next = present.Exists ? int.Parse(present.GetText()!, CultureInfo.InvariantCulture) + 1 : 1;
                var text = next.ToString(CultureInfo.InvariantCulture);
                if ((await kv.TryPutAsync("n", text, KvCondition.Revision(present.Revision))).Succeeded)
                {
                    lock (gate)
                    {
                        output.Write(Encoding.ASCII.GetBytes(text + "\n"));
                    }
                }

                if (next % 10 == 0)
                {
                    await kv.TouchAsync("n", next % 20 == 0 ? null : TimeSpan.FromDays(1));
                }
            }
        })));
        return 0;
    }
}
