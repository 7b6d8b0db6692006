using System.Net;
using System.Text.Json;
using KvStore.Dashboard.Live;

namespace KvStore.AspNetCore.Tests.Dashboard;

public sealed class LiveTests : DashboardTest
{
    private const string Name = "watched-by-the-tests-of-the-live-page";

    private readonly ManualTimeProvider _clock = new();
    private readonly LiveFeed _feed;
    private readonly KvNamespace _kv = KvNamespace.Create(Name);

    public LiveTests() => _feed = new LiveFeed(_clock, watchersMax: 3);

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _kv.DisposeAsync();
    }

    protected override IEnumerable<IKvNamespace> Registered() => [_kv];

    protected override void Configure(KvDashboardOptions options) => options.WatchersMax = 2;

    [Fact]
    public async Task The_samples_of_all_seconds_add_up_to_what_was_done()
    {
        using var watcher = _feed.TryWatch()!;
        var expected = new List<(int Reads, int Writes)>();
        var random = new Random(7);
        for (var second = 0; second < 5; second++)
        {
            var (reads, writes) = (random.Next(50), random.Next(50));
            for (var i = 0; i < writes; i++)
            {
                await (i % 2 == 0 ? _kv.PutAsync("k", "v") : _kv.DeleteAsync("x"));
            }

            for (var i = 0; i < reads; i++)
            {
                await _kv.GetAsync(i % 3 == 0 ? "missing" : "k");
            }

            expected.Add((reads, writes));
            _clock.Advance(TimeSpan.FromSeconds(1));
            watcher.Frames.TryRead(out var frame).Should().BeTrue();
            frame!.Span.Should().Be(TimeSpan.FromSeconds(1));
            frame.At.Should().Be(_clock.GetUtcNow());
            var sample = frame.Of([Name]);
            (sample.Reads, sample.Writes).Should().Be((reads, writes));
            (sample.Hits + sample.Misses).Should().Be(reads);
            sample.Latencies.Sum().Should().Be(reads, "each read is timed");
        }
    }

    [Fact]
    public async Task Hits_and_misses_are_told_apart_and_a_synchronous_read_counts_too()
    {
        using var watcher = _feed.TryWatch()!;
        await _kv.PutAsync("k", "v");
        for (var i = 0; i < 10; i++)
        {
            _kv.TryGet(i < 7 ? "k" : "missing", out _);
        }

        _clock.Advance(TimeSpan.FromSeconds(1));

        watcher.Frames.TryRead(out var frame).Should().BeTrue();
        var sample = frame!.Of([Name]);
        (sample.Reads, sample.Hits, sample.Misses).Should().Be((10, 7, 3));
    }

    [Fact]
    public async Task Nobody_is_observed_while_nobody_watches()
    {
        _feed.WatcherCount.Should().Be(0);
        var first = _feed.TryWatch()!;
        var second = _feed.TryWatch()!;
        first.Dispose();
        first.Dispose();
        _feed.WatcherCount.Should().Be(1);

        await _kv.GetAsync("k");
        _clock.Advance(TimeSpan.FromSeconds(1));
        second.Frames.TryRead(out var frame).Should().BeTrue();
        frame!.Of([Name]).Reads.Should().Be(1, "it goes on for who stays");

        second.Dispose();
        _feed.WatcherCount.Should().Be(0);
        await _kv.GetAsync("k");
        using var third = _feed.TryWatch()!;
        _clock.Advance(TimeSpan.FromSeconds(1));
        third.Frames.TryRead(out frame).Should().BeTrue();
        frame!.Of([Name]).Reads.Should().Be(0, "what happened while nobody watched was not counted");
        second.Frames.TryRead(out _).Should().BeFalse();
    }

    [Fact]
    public void No_more_watch_than_there_may_be()
    {
        var watchers = Enumerable.Range(0, 3).Select(_ => _feed.TryWatch()!).ToList();

        _feed.TryWatch().Should().BeNull();
        watchers[0].Dispose();
        using var another = _feed.TryWatch();
        another.Should().NotBeNull();
        watchers.ForEach(watcher => watcher.Dispose());
    }

    [Fact]
    public async Task Who_does_not_keep_up_is_dropped_and_the_others_are_not()
    {
        using var slow = _feed.TryWatch()!;
        using var quick = _feed.TryWatch()!;
        var dropped = new TaskCompletionSource();
        slow.Dropped.Register(dropped.SetResult);
        for (var i = 0; i < 20; i++)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            quick.Frames.TryRead(out _).Should().BeTrue();
        }

        await dropped.Task.WaitAsync(TimeSpan.FromSeconds(30));
        quick.Dropped.IsCancellationRequested.Should().BeFalse();
        slow.Frames.Count.Should().BeLessThan(20);
    }

    [Fact]
    public void Percentiles_are_right_to_a_few_per_cent_over_nine_powers_of_ten()
    {
        for (var magnitude = 1e-8; magnitude < 100; magnitude *= 10)
        {
            var histogram = new LatencyHistogram();
            for (var i = 1; i <= 1000; i++)
            {
                histogram.Record(magnitude * i / 1000);
            }

            var counts = LatencyHistogram.NewCounts();
            histogram.DrainTo(counts);
            foreach (var share in new[] { 0.5, 0.9, 0.99 })
            {
                LatencyHistogram.Percentile(counts, share).Should().BeApproximately(magnitude * share, (magnitude * share * 0.07) + 1e-9);
            }
        }

        LatencyHistogram.Percentile(LatencyHistogram.NewCounts(), 0.5).Should().BeNull();
        var outliers = new LatencyHistogram();
        outliers.Record(double.MaxValue);
        outliers.Record(-1);
        outliers.DrainTo(LatencyHistogram.NewCounts());
    }

    [Fact]
    public async Task The_page_of_a_namespace_streams_one_sample_a_second_and_nothing_is_observed_when_it_is_closed()
    {
        var id = Catalog.FindByIdOrTitle(Name)!.Id;
        using var stop = new CancellationTokenSource();
        using (var response = await Browser.OpenAsync($"/live/stream?ns={id}", stop.Token))
        {
            response.Content.Headers.ContentType!.MediaType.Should().Be("text/event-stream");
            using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
            (await lines.ReadLineAsync()).Should().Be("retry: 3000");
            for (var i = 0; i < 5; i++)
            {
                await _kv.GetAsync("missing");
            }

            Time.Advance(TimeSpan.FromSeconds(1));
            await lines.ReadLineAsync();
            var sample = JsonDocument.Parse((await lines.ReadLineAsync())!["data: ".Length..]).RootElement;
            sample.GetProperty("reads").GetInt64().Should().Be(5);
            sample.GetProperty("misses").GetInt64().Should().Be(5);
            sample.GetProperty("seconds").GetDouble().Should().Be(1);
            sample.GetProperty("p50").GetDouble().Should().BePositive();
            sample.TryGetProperty("pending", out _).Should().BeFalse("it has no regions");
        }

        // The place is free again as soon as the server has noticed.
        using var first = await OpenWhenFreeAsync();
        using var second = await OpenWhenFreeAsync();
        using var third = await Browser.OpenAsync("/live/stream");
        third.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
    }

    [Fact]
    public async Task Open_live_pages_do_not_keep_the_server_from_ending()
    {
        await using var host = await DashboardHost.StartAsync(Catalog, Time);
        using var browser = new DashboardClient(host.Url);
        using var response = await browser.OpenAsync("/live/stream");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        await lines.ReadLineAsync();

        await host.DisposeAsync();

        await lines.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(20));
    }

    private async Task<HttpResponseMessage> OpenWhenFreeAsync()
    {
        while (true)
        {
            var response = await Browser.OpenAsync("/live/stream");
            if (response.StatusCode == HttpStatusCode.OK)
            {
                return response;
            }

            response.Dispose();
        }
    }
}
