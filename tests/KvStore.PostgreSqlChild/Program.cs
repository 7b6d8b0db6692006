// One of several processes that share a namespace: it writes the same keys as the others, and each step is a line on standard output that is
// written before the next step begins. ProcessHistory of the tests reads them.
//
// Arguments: a connection string, the number of the process, and how many processes had that number before.
// On standard input: "stop" ends the writes, "state" asks for a hash of all entries, and the end of the input ends the program.
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using KvStore;
using KvStore.PostgreSqlChild;

var report = new Report(Console.OpenStandardOutput());
var options = new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(60), SweepInterval = TimeSpan.FromSeconds(1) };
await using var kv = await KvPostgreSql.OpenAsync("SHARED", args[0], options);
using var ending = new CancellationTokenSource();
using var stopping = new CancellationTokenSource();
var watching = Task.WhenAll(Readers.FollowAsync(kv, report, ending.Token), Readers.WatchAsync(kv, report, ending.Token));
var writing = Writers.RunAsync(kv, report, args[1], args[2], stopping.Token);
report.Line("ready");
while (await Console.In.ReadLineAsync() is { } command)
{
    if (command == "stop")
    {
        await stopping.CancelAsync();
        await writing;
        report.Line("stopped");
    }
    else if (command == "state")
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var entries = 0;
        await foreach (var entry in kv.ScanAsync())
        {
            hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{entry.Key} {entry.Value.Revision} {entry.Value.GetText()}\n")));
            entries++;
        }

        report.Line(string.Create(CultureInfo.InvariantCulture, $"state {entries} {Convert.ToHexString(hash.GetHashAndReset())}"));
    }
}

await stopping.CancelAsync();
await writing;
await ending.CancelAsync();
await watching;
return 0;
