using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>The disk of the server is full, and then it is not.</summary>
public sealed class FullDiskTests
{
    [RealPartFact(RealPart.PostgreSql, RealPart.Mounts)]
    public async Task Full_disk_refuses_writes_and_loses_nothing_until_there_is_space_again()
    {
        using var disk = SmallDisk.Mount(megabytes: 24);

        // A server of its own: its checkpoints fail, which is not the affair of other databases.
        await using var server = await PostgreSqlServer.StartNewAsync();
        await PostgreSqlServer.ExecuteAsync(server.ConnectionString, $"CREATE TABLESPACE small LOCATION '{disk.Path}'");
        await PostgreSqlServer.ExecuteAsync(server.ConnectionString, "CREATE DATABASE small TABLESPACE small");
        var database = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Database = "small", Pooling = false }.ConnectionString;

        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await using var other = await KvPostgreSql.OpenAsync("KV", database);
        var acknowledged = new Dictionary<string, int>(StringComparer.Ordinal);
        var random = new Random(9);
        var refusals = new List<Exception>();
        for (var i = 0; refusals.Count < 20; i++)
        {
            i.Should().BeLessThan(5000, "the disk is small");
            var length = random.Next(1, 200_000);
            try
            {
                await kv.PutAsync($"k{i}", new byte[length]);
                acknowledged.Add($"k{i}", length);
            }
            catch (KvPersistenceException e)
            {
                refusals.Add(e);
            }
        }

        refusals.Should().OnlyContain(e => e.Message.Contains("No space left on device", StringComparison.Ordinal) && e.Message.Contains("Nothing was written", StringComparison.Ordinal));
        var large = () => kv.PutAsync("large", new byte[4_000_000]).AsTask();
        (await large.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*No space left on device*Nothing was written*");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Degraded);
        kv.Health.Reason.Should().Contain("No space left on device");
        ShouldHave(kv, acknowledged);
        await WaitUntil.HoldsAsync(() => other.Count == acknowledged.Count, "the feed goes on");
        ShouldHave(other, acknowledged);

        disk.Resize(megabytes: 100);
        await kv.PutAsync("large", new byte[4_000_000]);
        await other.PutAsync("after", "v");
        await kv.PutAsync("after", "w");
        await WaitUntil.HoldsAsync(() => other.TryGet("after", out var value) && value.GetText() == "w" && other.TryGet("large", out _));
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        await using var again = await KvPostgreSql.OpenAsync("KV", database);
        ShouldHave(again, acknowledged);
        again.Count.Should().Be(acknowledged.Count + 2, "nothing that was refused is there");
    }

    [RealPartFact(RealPart.PostgreSql, RealPart.Mounts)]
    public async Task Full_disk_of_the_write_ahead_log_stops_the_server_and_loses_nothing_acknowledged()
    {
        using var disk = SmallDisk.Mount(megabytes: 24);
        await using var server = await PostgreSqlServer.StartNewAsync(logDirectory: Path.Combine(disk.Path, "log"));

        var database = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Timeout = 2, CancellationTimeout = 500 }.ConnectionString;
        var options = new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(2) };
        await using var kv = await KvPostgreSql.OpenAsync("KV", database, options);
        await using var other = await KvPostgreSql.OpenAsync("KV", database, options);
        var acknowledged = new Dictionary<string, int>(StringComparer.Ordinal);
        var failures = new List<KvPersistenceException>();
        var random = new Random(9);

        // Once or more often the server ends in the middle of a commit, so that nobody can say whether that was made.
        for (var i = 0; failures.Count < 2 || failures[^1] is KvOutcomeUnknownException; i++)
        {
            i.Should().BeLessThan(5000, "the disk is small");
            failures.Count.Should().BeLessThan(20, "the server cannot be reached any more");
            var length = random.Next(1, 200_000);
            try
            {
                await kv.PutAsync($"k{i}", new byte[length]);
                acknowledged.Add($"k{i}", length);
            }
            catch (KvPersistenceException e)
            {
                failures.Add(e);
            }
        }

        failures[^1].Message.Should().Contain("Nothing was written");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Degraded);
        ShouldHave(kv, acknowledged);
        await WaitUntil.HoldsAsync(async () => !await server.IsRunningAsync(), "it cannot recover without space");

        disk.Resize(megabytes: 200);
        await server.StartAsync();
        await WaitUntil.HoldsAsync(async () => await IsWrittenAsync(kv), "it goes on without a restart");
        await other.PutAsync("after", "w");
        await WaitUntil.HoldsAsync(() => kv.TryGet("after", out var value) && value.GetText() == "w");
        ShouldHave(kv, acknowledged);
        await WaitUntil.HoldsAsync(() => other.Count == kv.Count, "its feed goes on too");
        ShouldHave(other, acknowledged);
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        await using var again = await KvPostgreSql.OpenAsync("KV", database);
        ShouldHave(again, acknowledged);
        (await SharedNamespaces.StateOf(again)).Should().Equal(await SharedNamespaces.StateOf(kv));

        static async Task<bool> IsWrittenAsync(KvNamespace kv)
        {
            try
            {
                await kv.PutAsync("after", "v");
                return true;
            }
            catch (KvPersistenceException)
            {
                return false;
            }
        }
    }

    private static void ShouldHave(KvNamespace kv, Dictionary<string, int> acknowledged)
    {
        foreach (var (key, length) in acknowledged)
        {
            kv.TryGet(key, out var value).Should().BeTrue("{0} was acknowledged", key);
            value.GetBytes().Length.Should().Be(length);
        }
    }
}
