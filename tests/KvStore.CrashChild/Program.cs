// The program that is killed: several callers put and delete as fast as they can, and each acknowledgement is a line on
// standard output, "caller number", written before the caller goes on. Files are so small that logs roll and are compacted all the time.
//
// Arguments: directory, seed, and for each caller the number that it goes on with.
// Or: "read" and a directory, which is opened to be read only; says how many entries there are, or what is wrong.
// Or: "increment" and a directory: 16 tasks increment one counter there; each acknowledged number is a line.
// Or: "short-of-memory", directory, seed and seconds.
// Or: "few-descriptors" and a directory, under a low limit of open files.
// Or: "many-idle", directory, how many namespaces, and their durability.
// Or: "evict", a budget for memory, how many writers, and a directory or none.
// Or: "evict-until-killed", directory, and the number that it goes on with.
// Or: "put-many", directory and the number of the first round: see PutManyRounds.
using System.Globalization;
using System.Text;
using KvStore;
using KvStore.TestKit.Persistence;

if (args is ["read", var path])
{
    try
    {
        await using var reader = await NamespaceHost.OpenAsync(
            new FilePersistence(path, new FilePersistenceOptions { ReadOnly = true }), TimeProvider.System);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{reader.State.Count} entries, {reader.Persistence.Health.Status}"));
        return 0;
    }
    catch (Exception e)
    {
        Console.WriteLine($"{e.GetType().Name}: {e.Message}");
        return 1;
    }
}

if (args[0] == "increment")
{
    return await Counter.RunAsync(args[1]);
}

if (args[0] == "short-of-memory")
{
    return await ShortOfMemory.RunAsync(
        args[1], int.Parse(args[2], CultureInfo.InvariantCulture), TimeSpan.FromSeconds(int.Parse(args[3], CultureInfo.InvariantCulture)));
}

if (args[0] == "few-descriptors")
{
    return await FewDescriptors.RunAsync(args[1]);
}

if (args[0] == "many-idle")
{
    return await ManyIdle.RunAsync(args[1], int.Parse(args[2], CultureInfo.InvariantCulture), Enum.Parse<Durability>(args[3]));
}

if (args is ["evict", var budget, var writers, .. var place])
{
    return await Evicting.FillAsync(
        string.Concat(place), long.Parse(budget, CultureInfo.InvariantCulture), int.Parse(writers, CultureInfo.InvariantCulture));
}

if (args is ["evict-until-killed", var evicting, var firstNumber])
{
    return await Evicting.UntilKilledAsync(evicting, int.Parse(firstNumber, CultureInfo.InvariantCulture));
}

if (args[0] == "put-many")
{
    return await PutManyRounds.RunAsync(args[1], int.Parse(args[2], CultureInfo.InvariantCulture));
}

var directory = args[0];
var seed = int.Parse(args[1], CultureInfo.InvariantCulture);
var next = args[2..].Select(number => int.Parse(number, CultureInfo.InvariantCulture)).ToArray();

var persistence = new FilePersistence(directory, new FilePersistenceOptions
{
    LogFileBytes = 32 * 1024,
    CompactionBytesMin = 64 * 1024,
    LargeValueBytes = 4096,
});
await using var host = await NamespaceHost.OpenAsync(persistence, TimeProvider.System);
var output = Console.OpenStandardOutput();
var gate = new Lock();

await Task.WhenAll(next.Select((first, caller) => Task.Run(async () =>
{
    for (var number = first; ; number++)
    {
        var (kind, key, value) = CrashScript.Step(seed, caller, number);
        await (kind switch
        {
            CrashScript.Kind.Delete => host.DeleteAsync(key),
            CrashScript.Kind.PutLarge => host.PutLargeAsync(key, value),
            CrashScript.Kind.Touch => host.Namespace.TouchAsync(key, number % 2 == 0 ? null : TimeSpan.FromDays(number)).AsTask(),
            _ => host.PutAsync(key, value),
        });
        var line = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{caller} {number}\n"));
        lock (gate)
        {
            output.Write(line);
        }
    }
})));
return 0;
