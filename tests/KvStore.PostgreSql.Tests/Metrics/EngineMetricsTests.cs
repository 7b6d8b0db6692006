using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Metrics;

/// <summary>The meter <c>KvStore.PostgreSql</c> says what is true.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class EngineMetricsTests
{
    [Fact]
    public async Task Staleness_grows_in_an_outage_and_health_and_reads_go_by_it()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        var options = new KvPostgreSqlOptions { StalenessMax = TimeSpan.FromSeconds(2), WhenStale = KvWhenStale.Refuse };
        await using var kv = await KvPostgreSql.OpenAsync(NewName(), proxy.Through(database, "Timeout=2"), options);
        await kv.PutAsync("k", "v");
        proxy.Refuses = true;
        proxy.Cut();
        var before = Read(kv, "staleness");
        await WaitUntil.HoldsAsync(() => Read(kv, "staleness") > 2.5);
        var degraded = kv.Health;
        before.Should().BeLessThan(Read(kv, "staleness"));
        degraded.Status.Should().Be(KvPersistenceStatus.Degraded);
        degraded.Reason.Should().Contain("seconds old, more than 2,");
        await WaitUntil.HoldsAsync(() => IsRefused(kv));

        proxy.Refuses = false;

        // Younger than the outage was at its end, because the database was asked again.
        await WaitUntil.HoldsAsync(() => Read(kv, "staleness") < 2 && kv.Health.Status == KvPersistenceStatus.Healthy && !IsRefused(kv));
    }

    [Fact]
    public async Task Duration_of_the_feed_is_that_of_a_question()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        await using var kv = await KvPostgreSql.OpenAsync(NewName(), proxy.Through(database), new KvPostgreSqlOptions { PollInterval = TimeSpan.FromMilliseconds(20), UseNotifications = false });
        await WaitUntil.HoldsAsync(() => Read(kv, "feed.duration") > 0);
        proxy.DelayMilliseconds = 150;

        // There and back.
        await WaitUntil.HoldsAsync(() => Read(kv, "feed.duration") >= 0.3);
        proxy.DelayMilliseconds = 0;
        await WaitUntil.HoldsAsync(() => Read(kv, "feed.duration") < 0.3);
    }

    [Fact]
    public async Task Lag_of_the_feed_is_at_least_the_time_that_a_write_of_another_process_took()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        var name = NewName();
        await using var other = await KvPostgreSql.OpenAsync(name, database);
        await using var kv = await KvPostgreSql.OpenAsync(name, proxy.Through(database, "Timeout=2"), new KvPostgreSqlOptions { UseNotifications = false });
        var lags = new ConcurrentQueue<double>();
        using var listener = Listen(name, "feed.lag", lags.Enqueue);
        var arrived = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var observation = kv.ObserveChanges(_ => arrived.TrySetResult(Stopwatch.GetTimestamp()));
        proxy.Refuses = true;
        proxy.Cut();
        await other.PutAsync("k", "v");
        var committed = Stopwatch.GetTimestamp();
        proxy.Refuses = false;

        var took = Stopwatch.GetElapsedTime(committed, await arrived.Task).TotalSeconds;
        await WaitUntil.HoldsAsync(() => lags.Any(lag => lag >= took), "the lag is noted behind the arrival");
    }

    [Fact]
    public async Task Batch_is_the_number_of_writes_in_the_last_transaction()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync(NewName(), database);
        foreach (var count in (int[])[1, 100, 7])
        {
            await kv.PutManyAsync([.. Enumerable.Range(0, count).Select(i => new KvEntry($"{count}/{i}", "v"))]);
            var inDatabase = await PostgreSqlServer.ExecuteAsync(
                database, "SELECT sum(cardinality(keys)) FROM kvstore.changes WHERE xid = (SELECT xid FROM kvstore.changes ORDER BY revisions DESC LIMIT 1)");

            Read(kv, "batch").Should().Be((long)inDatabase!);
        }
    }

    [Fact]
    public async Task Resyncs_are_counted()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync(NewName(), database);
        await kv.PutAsync("k", "v");
        Read(kv, "resyncs").Should().Be(0);

        for (var time = 1; time <= 2; time++)
        {
            // As after a restore of another database.
            await PostgreSqlServer.ExecuteAsync(database, "UPDATE kvstore.meta SET epoch = gen_random_uuid()");
            await WaitUntil.HoldsAsync(() => Read(kv, "resyncs") == time);
        }

        kv.TryGet("k", out _).Should().BeTrue();
        kv.Dispose();
        Values(kv.Name, "resyncs").Should().BeEmpty("a closed namespace has no metrics");
    }

    // The meters of all tests of the process are read.
    private static string NewName() => $"M{Guid.NewGuid():N}";

    private static double Read(KvNamespace kv, string metric) => Values(kv.Name, metric).Should().ContainSingle().Which;

    private static List<double> Values(string name, string metric)
    {
        var values = new List<double>();
        using var listener = Listen(name, metric, values.Add);
        listener.RecordObservableInstruments();
        return values;
    }

    private static MeterListener Listen(string name, string metric, Action<double> measured)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == "KvStore.PostgreSql" && instrument.Name == $"kvstore.postgresql.{metric}")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, value, tags, _) => Add(value, tags));
        listener.SetMeasurementEventCallback<int>((_, value, tags, _) => Add(value, tags));
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) => Add(value, tags));
        listener.Start();
        return listener;

        void Add(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            foreach (var tag in tags)
            {
                if (tag.Key == "kvstore.namespace" && name.Equals(tag.Value))
                {
                    measured(value);
                }
            }
        }
    }

    private static bool IsRefused(KvNamespace kv)
    {
        try
        {
            kv.TryGet("k", out _);
            return false;
        }
        catch (KvException e) when (e.StatusCode == 503)
        {
            return true;
        }
    }
}
