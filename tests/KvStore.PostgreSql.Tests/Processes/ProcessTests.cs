using KvStore.PostgreSql.Tests.Servers;
using Xunit.Abstractions;

namespace KvStore.PostgreSql.Tests.Processes;

/// <summary>
/// Real processes write the same keys, and are killed in the middle: conditional writes are linearizable, the last put wins, nothing acknowledged
/// is lost, no process goes back to an older revision, and all converge.
/// </summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class ProcessTests(ITestOutputHelper output)
{
    private const int Processes = 3;

    [Fact]
    public async Task Processes_that_write_the_same_keys_are_linearizable_and_converge()
    {
        await using var group = await ProcessGroup.StartAsync(await (await PostgreSqlServer.Shared).CreateDatabaseAsync(), Processes);
        await group.ProgressAsync(1000);
        await group.ShouldHaveSharedAsync();
        output.WriteLine(group.Staleness());
    }

    [Fact]
    public async Task Processes_that_are_killed_during_commits_lose_nothing_and_leave_no_lock()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using (var group = await ProcessGroup.StartAsync(database, Processes))
        {
            for (var round = 0; round <= Processes; round++)
            {
                await group.ProgressAsync(Random.Shared.Next(20, 150));
                await group.ReplaceAsync(round % Processes);
            }

            await group.ProgressAsync(100);
            await group.ShouldHaveSharedAsync();
        }

        await ShouldBecomeAsync(
            database, 0L,
            """
            SELECT (SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND l.pid <> pg_backend_pid())
                + (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'asks')
            """);

        // Nobody else sweeps, so one that is still locked out would leave the expired entry.
        await using var kv = await KvPostgreSql.OpenAsync("SHARED", database, new KvPostgreSqlOptions { SweepInterval = TimeSpan.FromSeconds(1) });
        await kv.PutAsync("expires", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });
        await PostgreSqlServer.ExecuteAsync(database, "UPDATE kvstore.entries SET expires = 10 WHERE expires IS NOT NULL");
        await ShouldBecomeAsync(database, 0L, "SELECT count(*) FROM kvstore.entries WHERE expires IS NOT NULL");
    }

    [Fact]
    public async Task Server_that_is_killed_under_processes_loses_nothing_that_they_were_told()
    {
        await using var server = await PostgreSqlServer.StartNewAsync();
        await using var group = await ProcessGroup.StartAsync(server.ConnectionString, Processes);
        for (var round = 0; round < 2; round++)
        {
            await group.ProgressAsync(100);
            server.Kill();
            await server.StartAsync();
        }

        await group.ProgressAsync(100);
        await group.ShouldHaveSharedAsync();
    }

    private static async Task ShouldBecomeAsync(string database, long expected, string question)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var found = (long)(await PostgreSqlServer.ExecuteAsync($"{database};Application Name=asks;Pooling=false", question))!;
            if (found == expected)
            {
                return;
            }

            TimeProvider.System.GetElapsedTime(began).Should().BeLessThan(TimeSpan.FromSeconds(60), "{0} becomes {1}", found, expected);
            await Task.Delay(50);
        }
    }
}
