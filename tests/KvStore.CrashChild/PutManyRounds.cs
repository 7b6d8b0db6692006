using System.Globalization;
using System.Text;
using KvStore;
using KvStore.TestKit.Persistence;

/// <summary>
/// Puts the same keys again and again, all of them with one call, until it is killed. The number of a round is a line on standard
/// output when the call has completed.
/// </summary>
internal static class PutManyRounds
{
    public static async Task<int> RunAsync(string directory, int first)
    {
        var persistence = new FilePersistence(directory, new FilePersistenceOptions { LogFileBytes = 32 * 1024, CompactionBytesMin = 64 * 1024, LargeValueBytes = 4096 });
        await using var host = await NamespaceHost.OpenAsync(persistence, TimeProvider.System);
        var output = Console.OpenStandardOutput();
        for (var round = first; ; round++)
        {
            await host.Namespace.PutManyAsync(PutManyScript.Round(round));
            output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{round}\n")));
        }
    }
}
