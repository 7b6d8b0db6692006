using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.Dashboard;

/// <summary>
/// Takes the pictures that the documentation shows, <c>artifacts/screenshots/docs-dashboard-*.png</c>, of a namespace as
/// somebody might have it.
/// </summary>
public sealed class PictureTests(ChromiumFixture chromium) : DashboardBrowserTest(chromium)
{
    private const int Width = 1120;

    private protected override TimeProvider Clock { get; } = new QuickClock();

    [RealPartFact(RealPart.Chromium)]
    public async Task The_keys_page_shows_folders_metadata_and_the_time_that_is_left()
    {
        await FillAsync();
        await PrepareAsync(ColorScheme.Light, 640);
        await Visitor.GoToAsync(Ns);

        (await Page.Locator("tr.folder").CountAsync()).Should().Be(3);
        (await Page.Locator("table.keys").InnerTextAsync()).Should().MatchRegex("in (3 h|2 h 59 min)").And.Contain("\"by\":\"ada\"");
        await Visitor.ScreenshotAsync("docs-dashboard-keys");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_page_of_an_entry_shows_it_in_each_region()
    {
        await Profiles.PutAsync("user:7", "{\"plan\":\"pro\"}");
        Profiles.Replication!.Pause();
        Profiles.Replication.Step();
        Profiles.Replication.Partition("sfo");
        await Profiles.PutAsync("user:7", "{\"plan\":\"team\",\"seats\":25}", new KvPutOptions { Metadata = KvMetadata.FromJson("{\"by\":\"ada\"}") });
        await PrepareAsync(ColorScheme.Dark, 900);
        await Visitor.GoToAsync($"/dashboard/ns/{Catalog.FindByIdOrTitle("profiles")!.Id}/entry?key=user%3A7");

        (await Page.Locator("table.regions tbody tr").CountAsync()).Should().Be(3);
        await Visitor.ScreenshotAsync("docs-dashboard-regions");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_live_page_draws_reads_writes_hits_and_latencies()
    {
        await FillAsync();
        await PrepareAsync(ColorScheme.Dark, 860);
        using var stop = new CancellationTokenSource();
        var work = WorkAsync(stop.Token);
        await Visitor.GoToAsync($"/dashboard/live?ns={Ns.Split('/')[^1]}");

        await Page.WaitForFunctionAsync("() => Number(document.querySelector('#live').dataset.samples) >= 120", null, new PageWaitForFunctionOptions { Timeout = 60_000 });
        await Visitor.ScreenshotAsync("docs-dashboard-live");
        await stop.CancelAsync();
        await work;
    }

    private async Task PrepareAsync(ColorScheme scheme, int height)
    {
        await Page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = scheme });
        await Page.SetViewportSizeAsync(Width, height);
    }

    private async Task FillAsync()
    {
        await Kv.PutAsync("theme", "dark", new KvPutOptions { Metadata = KvMetadata.FromJson("{\"by\":\"ada\",\"at\":\"2026-11-20\"}") });
        await Kv.PutAsync("banner", "Maintenance on Sunday", new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(3), Metadata = KvMetadata.FromJson("{\"by\":\"grace\"}") });
        await Kv.PutAsync("limits", "{\"requests\":1000}", new KvPutOptions { Metadata = KvMetadata.FromJson("{\"version\":12}") });
        await Kv.PutAsync("release", "2026.11.3", new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(30) });
        for (var i = 0; i < 40; i++)
        {
            await Kv.PutAsync($"flags/{i}", "on");
            await Kv.PutAsync($"sessions/{i}", "{}", new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(1) });
            await Kv.PutAsync($"users/{i}", "{}");
        }
    }

    // Busier and quieter by turns, as sites are.
    private async Task WorkAsync(CancellationToken stop)
    {
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        for (var tick = 0; !stop.IsCancellationRequested; tick++)
        {
            var busy = (int)(12 + (8 * Math.Sin(tick / 60.0)));
            for (var i = 0; i < busy; i++)
            {
                await Kv.GetAsync(i % 9 == 8 ? "missing" : $"flags/{i}", cancellationToken: CancellationToken.None);
            }

            for (var i = 0; i < busy / 5; i++)
            {
                await Kv.PutAsync($"sessions/{i}", "{}", cancellationToken: CancellationToken.None);
            }

            await ticks.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    /// <summary>A clock ten times as quick as others, so that the charts' two minutes are full after twelve seconds.</summary>
    private sealed class QuickClock : TimeProvider
    {
        private const int Times = 10;

        private readonly DateTimeOffset _start = System.GetUtcNow();

        public override DateTimeOffset GetUtcNow() => _start + ((System.GetUtcNow() - _start) * Times);

        public override long GetTimestamp() => base.GetTimestamp() * Times;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, Quick(dueTime), Quick(period));

        private static TimeSpan Quick(TimeSpan span) => span == Timeout.InfiniteTimeSpan ? span : span / Times;
    }
}
