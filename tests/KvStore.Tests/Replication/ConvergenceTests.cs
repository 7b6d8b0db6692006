using System.Diagnostics.Metrics;

namespace KvStore.Tests.Replication;

public sealed class ConvergenceTests
{
    [Fact]
    public async Task Pending_writes_are_counted_for_each_region_that_has_not_received_them()
    {
        using var regions = new Regions(Regions.Lags(("jnb", "lhr", 5), ("jnb", "sfo", 10)));
        regions.Replication.IsConverged.Should().BeTrue();
        await regions.Jnb.PutAsync("a", "v");
        await regions.Jnb.PutAsync("b", "v");

        regions.Replication.PendingCount.Should().Be(4);
        regions.Replication.PendingCountOf("lhr").Should().Be(2);
        regions.Replication.PendingCountOf("jnb").Should().Be(0);
        regions.Advance(5);
        regions.Replication.PendingCount.Should().Be(2);
        regions.Replication.PendingCountOf("lhr").Should().Be(0);
        regions.Replication.IsConverged.Should().BeFalse();
        regions.Advance(5);
        regions.Replication.IsConverged.Should().BeTrue();
    }

    [Fact]
    public async Task Waiting_for_convergence_ends_with_the_last_delivery()
    {
        using var regions = new Regions(Regions.Fixed(10));
        regions.Replication.WaitForConvergenceAsync().IsCompletedSuccessfully.Should().BeTrue();
        await regions.Jnb.PutAsync("k", "v");

        var waiting = regions.Replication.WaitForConvergenceAsync();

        regions.Advance(9);
        waiting.IsCompleted.Should().BeFalse();
        regions.Advance(1);
        await waiting;
        (await regions.See("k")).Should().Be("v v v");
    }

    [Fact]
    public async Task Waiting_for_convergence_ends_when_a_pending_write_is_superseded()
    {
        using var regions = new Regions(new KvReplicationOptions { Regions = ["jnb", "lhr"], Lag = Regions.Fixed(10) });
        regions.Replication.Partition("lhr");
        await regions.Jnb.PutAsync("k", "v");
        var waiting = regions.Replication.WaitForConvergenceAsync();

        regions.Replication.Heal("lhr");
        regions.Advance(10);

        await waiting;
    }

    [Fact]
    public async Task Waiting_can_be_given_up()
    {
        using var regions = new Regions(Regions.Fixed(10));
        regions.Replication.Partition("lhr");
        await regions.Jnb.PutAsync("k", "v");
        using var giveUp = new CancellationTokenSource();

        var waiting = regions.Replication.WaitForConvergenceAsync(giveUp.Token);
        await giveUp.CancelAsync();

        var act = () => waiting;
        await act.Should().ThrowAsync<OperationCanceledException>();
        var second = regions.Replication.WaitForConvergenceAsync();
        regions.Replication.Heal("lhr");
        regions.Advance(10);
        await second;
    }

    [Fact]
    public async Task Event_has_the_key_both_regions_and_the_times_of_write_and_delivery()
    {
        using var regions = new Regions(Regions.Lags(("jnb", "lhr", 5), ("jnb", "sfo", 10)));
        var start = regions.Time.GetUtcNow();
        var events = regions.Replication.ReadEventsAsync().GetAsyncEnumerator();
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(20);
        await regions.Lhr.DeleteAsync("k");
        regions.Dispose();

        var heard = new List<KvReplicationEvent>();
        while (await events.MoveNextAsync())
        {
            heard.Add(events.Current);
        }

        heard.Should().Equal(
            new KvReplicationEvent("k", "jnb", "lhr", 1, IsDelete: false, KvReplicationOutcome.Visible, start, start.AddSeconds(5)),
            new KvReplicationEvent("k", "jnb", "sfo", 1, IsDelete: false, KvReplicationOutcome.Visible, start, start.AddSeconds(10)),
            new KvReplicationEvent("k", "lhr", "sfo", 2, IsDelete: true, KvReplicationOutcome.Visible, start.AddSeconds(20), start.AddSeconds(20)));
        heard[1].Lag.Should().Be(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Event_reports_a_pending_write_that_was_superseded()
    {
        using var regions = new Regions(new KvReplicationOptions
        {
            Regions = ["jnb", "lhr", "sfo"],
            Lag = Regions.Lags(("jnb", "lhr", 10), ("sfo", "lhr", 1)),
        });
        var events = regions.Replication.ReadEventsAsync().GetAsyncEnumerator();
        await regions.Jnb.PutAsync("k", "slow");
        await regions.Sfo.PutAsync("k", "fast");
        regions.Advance(20);
        await regions.Kv.DisposeAsync();

        var heard = new List<string>();
        while (await events.MoveNextAsync())
        {
            heard.Add($"{events.Current.From}>{events.Current.To} {events.Current.Outcome}");
        }

        heard.Should().Equal("jnb>sfo Visible", "sfo>jnb Visible", "jnb>lhr Superseded", "sfo>lhr Visible");
    }

    [Fact]
    public async Task Two_readers_of_events_get_all_of_them_and_one_that_has_left_gets_none()
    {
        using var regions = new Regions();
        var first = regions.Replication.ReadEventsAsync().GetAsyncEnumerator();
        var second = regions.Replication.ReadEventsAsync().GetAsyncEnumerator();
        await regions.Jnb.PutAsync("a", "v");
        await first.DisposeAsync();
        await regions.Jnb.PutAsync("b", "v");
        regions.Dispose();

        var keys = new List<string>();
        while (await second.MoveNextAsync())
        {
            keys.Add(second.Current.Key);
        }

        keys.Should().Equal("a", "a", "b", "b");
    }

    [Fact]
    public async Task Reading_events_can_be_cancelled()
    {
        using var regions = new Regions();
        using var giveUp = new CancellationTokenSource();
        await using var events = regions.Replication.ReadEventsAsync().GetAsyncEnumerator(giveUp.Token);

        var next = events.MoveNextAsync().AsTask();
        await giveUp.CancelAsync();

        var act = () => next;
        await act.Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task Metrics_measure_lag_and_the_staleness_of_reads_in_seconds_and_what_is_pending()
    {
        using var regions = Measured(new KvReplicationOptions { Lag = Regions.Lags(("jnb", "lhr", 5), ("jnb", "sfo", 10)) });
        using var heard = new Heard();
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(4);
        await regions.Lhr.GetTextAsync("k");
        await regions.Jnb.GetTextAsync("k");
        heard.Observe();
        regions.Advance(6);
        await regions.Lhr.GetTextAsync("k");

        heard.Measurements.Should().Equal(
            "kvstore.replication.staleness lhr 4",
            "kvstore.replication.pending jnb 0",
            "kvstore.replication.pending lhr 1",
            "kvstore.replication.pending sfo 1",
            "kvstore.replication.lag lhr 5",
            "kvstore.replication.lag sfo 10");
    }

    [Fact]
    public async Task A_stale_hit_of_a_cache_is_measured_by_the_age_of_what_is_cached()
    {
        using var regions = Measured(new KvReplicationOptions { EdgeCache = new KvEdgeCacheOptions() });
        using var heard = new Heard();
        await regions.Jnb.PutAsync("k", "old");
        await regions.Lhr.GetTextAsync("k");
        regions.Advance(10);
        await regions.Lhr.GetTextAsync("k");
        heard.Measurements.Should().NotContain(measurement => measurement.StartsWith("kvstore.replication.staleness"));
        await regions.Jnb.PutAsync("k", "new");

        await regions.Lhr.GetTextAsync("k");

        heard.Measurements.Should().Contain("kvstore.replication.staleness lhr 10");
    }

    // By a name of its own: measurements are those of the whole process.
    private static Regions Measured(KvReplicationOptions options) =>
        new(options with { Regions = ["jnb", "lhr", "sfo"] }, name: Heard.Namespace);

    private sealed class Heard : IDisposable
    {
        public const string Namespace = "MEASURED_REGIONS";

        private readonly MeterListener _listener = new();

        public Heard()
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == KvDiagnostics.MeterName && instrument.Name.StartsWith("kvstore.replication", StringComparison.Ordinal))
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<double>(Record);
            _listener.SetMeasurementEventCallback<long>(Record);
            _listener.Start();
        }

        public List<string> Measurements { get; } = [];

        public void Observe() => _listener.RecordObservableInstruments();

        public void Dispose() => _listener.Dispose();

        private void Record<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
        {
            string? region = null;
            string? name = null;
            foreach (var (tag, text) in tags)
            {
                region = tag == "kvstore.region" ? (string?)text : region;
                name = tag == "db.namespace" ? (string?)text : name;
            }

            if (name == Namespace)
            {
                Measurements.Add(FormattableString.Invariant($"{instrument.Name} {region} {value}"));
            }
        }
    }
}
