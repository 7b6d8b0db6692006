using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.Dashboard;

public sealed class LiveBrowserTests(ChromiumFixture chromium) : DashboardBrowserTest(chromium)
{
    [RealPartFact(RealPart.Chromium)]
    public async Task The_charts_draw_what_happens_as_it_happens()
    {
        using var stop = new CancellationTokenSource();
        var work = WorkAsync(stop.Token);
        await Visitor.GoToAsync($"/dashboard/live?ns={Ns.Split('/')[^1]}");

        // A third row, and not three: by the time somebody looks there may be more.
        await Assertions.Expect(Page.Locator("#live-table tbody tr").Nth(2)).ToBeAttachedAsync(new LocatorAssertionsToBeAttachedOptions { Timeout = 30_000 });
        foreach (var chart in new[] { "reads", "writes", "hits" })
        {
            (await Page.Locator($"[data-chart={chart}] path.line").CountAsync()).Should().Be(1, chart);
        }

        (await Page.Locator("[data-chart=latency] path.line").CountAsync()).Should().Be(3);
        (await Page.Locator("[data-chart=pending]").CountAsync()).Should().Be(0, "it has no regions");
        (await Page.Locator("[data-chart=hits] .chart-value").InnerTextAsync()).Should().Be("50.0 %");
        (await Page.Locator("[data-chart=latency] .chart-value").InnerTextAsync()).Should().MatchRegex("p50 [0-9.]+ (ns|µs|ms).*p90 [0-9.]+ (ns|µs|ms).*p99 ");
        (await Page.Locator("#live-summary").TextContentAsync()).Should().Contain("reads").And.Contain("hit ratio");
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();

        await Button("Pause").ClickAsync();
        var rows = await Page.Locator("#live-table tbody tr").CountAsync();
        await Page.WaitForFunctionAsync("seen => Number(document.querySelector('#live').dataset.samples) > seen + 1", await Page.EvaluateAsync<int>("() => Number(document.querySelector('#live').dataset.samples)"));
        (await Page.Locator("#live-state").InnerTextAsync()).Should().Be("Paused.");
        (await Page.Locator("#live-table tbody tr").CountAsync()).Should().Be(rows);
        await Visitor.ScreenshotAsync("dashboard-live");
        await stop.CancelAsync();
        await work;
    }

    private async Task WorkAsync(CancellationToken stop)
    {
        await Kv.PutAsync("k", "v", cancellationToken: CancellationToken.None);
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!stop.IsCancellationRequested)
        {
            await Kv.PutAsync("k", "v", cancellationToken: CancellationToken.None);
            await Kv.GetAsync("k", cancellationToken: CancellationToken.None);
            await Kv.GetAsync("missing", cancellationToken: CancellationToken.None);
            await ticks.WaitForNextTickAsync(CancellationToken.None);
        }
    }
}
