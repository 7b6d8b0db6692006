using System.Diagnostics;
using System.Globalization;
using KvStore.Comparisons.Peers;
using Npgsql;

namespace KvStore.Comparisons.Compare;

/// <summary>What <see cref="SecondProcess"/> runs. Not for users. It ends when its input ends.</summary>
internal static class SecondProcessCommand
{
    public const string Name = "second-process";
    public const string Ready = "ready";

    /// <summary>Answers each notification with a timestamp. The argument is a connection string.</summary>
    public const string Notified = "notified";

    /// <summary>
    /// Answers each change of a namespace with a timestamp. The arguments are a connection string, and whether notifications are used.
    /// </summary>
    public const string Watch = "watch";

    /// <summary>
    /// Answers lines of a call and milliseconds with the nanoseconds of a call. The arguments are the name of a cache and its address.
    /// </summary>
    public const string Cache = "cache";

    /// <summary>The name of the namespace that is watched.</summary>
    public const string Watched = "BENCH_KV";

    public static int Run(string[] arguments)
    {
        switch (arguments)
        {
            case [Notified, var connectionString]:
                UntilInputEnds(stop => ShowNotificationsAsync(connectionString, stop));
                return 0;
            case [Watch, var connectionString, var usesNotifications]:
                UntilInputEnds(stop => ShowChangesAsync(connectionString, bool.Parse(usesNotifications), stop));
                return 0;
            case [Cache, var name, var address]:
                CallCache(name, address);
                return 0;
            default:
                throw new ArgumentException($"\"{string.Join(' ', arguments)}\" is not understood.");
        }
    }

    private static void UntilInputEnds(Func<CancellationToken, Task> show)
    {
        using var stop = new CancellationTokenSource();
        var showing = show(stop.Token);
        while (Console.In.ReadLine() is not null)
        {
            // Nothing is expected.
        }

        stop.Cancel();
        try
        {
            showing.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            // As it should end.
        }
    }

    private static async Task ShowNotificationsAsync(string connectionString, CancellationToken stop)
    {
        await using var listening = new NpgsqlConnection(connectionString);
        await listening.OpenAsync(stop);
        listening.Notification += static (_, _) => ShowMoment();
        await using (var listen = new NpgsqlCommand("LISTEN bare", listening))
        {
            await listen.ExecuteNonQueryAsync(stop);
        }

        Console.WriteLine(Ready);
        while (true)
        {
            await listening.WaitAsync(stop);
        }
    }

    private static async Task ShowChangesAsync(string connectionString, bool usesNotifications, CancellationToken stop)
    {
        await using var kv = await KvPostgreSql.OpenAsync(Watched, connectionString, new KvPostgreSqlOptions { UseNotifications = usesNotifications }, cancellationToken: stop);
        await using var changes = kv.WatchAsync(new KvWatchOptions(), stop).GetAsyncEnumerator(stop);
        var next = changes.MoveNextAsync();
        Console.WriteLine(Ready);
        while (await next)
        {
            ShowMoment();
            next = changes.MoveNextAsync();
        }
    }

    private static void CallCache(string name, string address)
    {
        using var client = new CacheClient(name, address);
        client.WaitUntilFull();
        Console.WriteLine(Ready);
        while (Console.In.ReadLine()?.Split(' ') is [var call, var milliseconds])
        {
            var nanoseconds = client.Run(call, TimeSpan.FromMilliseconds(int.Parse(milliseconds, CultureInfo.InvariantCulture)));
            Console.WriteLine(nanoseconds.ToString("R", CultureInfo.InvariantCulture));
        }
    }

    private static void ShowMoment()
    {
        var shown = Stopwatch.GetTimestamp();
        Console.WriteLine(shown.ToString(CultureInfo.InvariantCulture));
    }
}
