using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using KvStore.Dashboard.Live;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.Dashboard.Tests;

public sealed class LiveTests : DashboardTest
{
    private const string Name = "watched-by-the-tests-of-the-live-page";

    private readonly FakeTimeProvider _clock = new();
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
    public async Task Hits_and_misses_are_distinguished_and_a_synchronous_read_counts_too()
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
    public void Watcher_beyond_the_limit_is_refused_until_another_one_leaves()
    {
        var watchers = Enumerable.Range(0, 3).Select(_ => _feed.TryWatch()!).ToList();

        _feed.TryWatch().Should().BeNull();
        watchers[0].Dispose();
        using var another = _feed.TryWatch();
        another.Should().NotBeNull();
        watchers.ForEach(watcher => watcher.Dispose());
    }

    [Fact]
    public async Task Longest_watching_client_is_replaced_once_ten_seconds_are_over()
    {
        var watchers = Enumerable.Range(0, 3).Select(_ => _feed.TryWatch()!).ToList();
        var dropped = new TaskCompletionSource();
        watchers[0].Dropped.Register(dropped.SetResult);
        _clock.Advance(LiveFeed.SlotTimeMin - TimeSpan.FromMilliseconds(1));
        _feed.TryWatch().Should().BeNull("all have come just now");

        // None of them reads.
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        using var another = _feed.TryWatch();

        another.Should().NotBeNull();
        await dropped.Task.WaitAsync(TimeSpan.FromSeconds(30));
        _feed.WatcherCount.Should().Be(3);
        watchers[0].Dispose();
        _feed.WatcherCount.Should().Be(3, "its place was given away");
        _clock.Advance(TimeSpan.FromSeconds(1));
        another!.Frames.TryRead(out _).Should().BeTrue();
        watchers.ForEach(watcher => watcher.Dispose());
    }

    [Fact]
    public async Task Watcher_that_reads_too_slowly_is_dropped_and_the_others_are_not()
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
    public async Task Namespace_page_streams_a_sample_a_second_and_stops_observing_when_closed()
    {
        var id = Catalog.FindByIdOrTitle(Name)!.Id;
        using (var response = await Browser.OpenAsync($"/live/stream?ns={id}"))
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
        using var first = await OpenWhenFreeAsync(Browser);
        using var second = await OpenWhenFreeAsync(Browser);
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

    [Fact]
    public async Task A_client_that_never_reads_is_dropped_and_nothing_of_it_is_kept()
    {
        var contexts = new ConcurrentQueue<WeakReference>();
        await using var host = await DashboardHost.StartAsync(
            Catalog,
            Time,
            options => options.RequirePolicy(DashboardHost.Policy).WatchersMax = 2,
            services => services.Configure<SocketTransportOptions>(sockets =>
            {
                // What server and system take for a client that does not read: by default more than a stream has.
                sockets.MaxWriteBufferSize = 4096;
                sockets.CreateBoundListenSocket = endpoint =>
                {
                    var listening = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
                    listening.SendBufferSize = 4096;
                    return listening;
                };
            }),
            app =>
            {
                app.Use((context, next) =>
                {
                    if (context.Request.Query.ContainsKey("deaf"))
                    {
                        contexts.Enqueue(new WeakReference(context));
                    }

                    return next(context);
                });
                return app;
            });
        using var deaf = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 2048 };
        await deaf.ConnectAsync(IPAddress.Loopback, new Uri(host.Url).Port);
        await deaf.SendAsync(Encoding.ASCII.GetBytes($"GET /dashboard/live/stream?deaf HTTP/1.1\r\nHost: a\r\nX-User: {DashboardHost.Owner}\r\n\r\n"));

        // The first byte of the answer says that it watches; then it reads no more.
        (await deaf.ReceiveAsync(new byte[1])).Should().Be(1);
        using var browser = new DashboardClient(host.Url);
        using var response = await browser.OpenAsync("/live/stream");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        await lines.ReadLineAsync();
        await lines.ReadLineAsync();
        using (var full = await browser.OpenAsync("/live/stream"))
        {
            full.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable, "both places are taken");
        }

        var isDropped = false;
        for (var second = 0; second < 500 && !isDropped; second++)
        {
            Time.Advance(TimeSpan.FromSeconds(1));
            (await lines.ReadLineAsync()).Should().StartWith("data: ", "who reads gets every sample");
            await lines.ReadLineAsync();
            using var another = await browser.OpenAsync("/live/stream");
            isDropped = another.StatusCode == HttpStatusCode.OK;
        }

        isDropped.Should().BeTrue("its place is given to another, long before the stream would have ended by itself");
        await WaitUntilAsync(() =>
        {
            GC.Collect();
            return !contexts.Single().IsAlive;
        });
        deaf.Poll(0, SelectMode.SelectRead).Should().BeTrue("it is still there, with what the system keeps for it");
    }

    /// <summary>Opens a stream as soon as there is a place for it.</summary>
    private static async Task<HttpResponseMessage> OpenWhenFreeAsync(DashboardClient browser)
    {
        HttpResponseMessage? response = null;
        await WaitUntilAsync(async () =>
        {
            response = await browser.OpenAsync("/live/stream");
            if (response.StatusCode == HttpStatusCode.OK)
            {
                return true;
            }

            response.Dispose();
            return false;
        });
        return response!;
    }

    private static Task WaitUntilAsync(Func<bool> isSo) => WaitUntilAsync(() => Task.FromResult(isSo()));

    // Waits for an effect on another thread that raises no event.
    private static async Task WaitUntilAsync(Func<Task<bool>> isSo)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await isSo())
        {
            await Task.Delay(5, limit.Token);
        }
    }
}
