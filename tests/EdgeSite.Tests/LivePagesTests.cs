using System.Globalization;
using System.Text.RegularExpressions;
using KvStore;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace EdgeSite.Tests;

/// <summary>The counter of views, the cached rates, and the flags that follow changes, on a site in memory.</summary>
public sealed partial class LivePagesTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private readonly WebApplicationFactory<Program> _site;

    public LivePagesTests() => _site = new WebApplicationFactory<Program>().WithWebHostBuilder(host => host.ConfigureTestServices(services =>
    {
        services.ReplaceKvNamespaces();
        services.AddSingleton<TimeProvider>(_time);
    }));

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _site.DisposeAsync();

    [Fact]
    public async Task Every_view_of_a_page_is_counted_once()
    {
        using var visitor = _site.CreateClient();

        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => visitor.GetStringAsync(i % 2 == 0 ? "/" : "/message")));

        Views(await visitor.GetStringAsync("/flags")).Should().Be(41);
        (await visitor.GetAsync("/nowhere")).StatusCode.Should().Be(System.Net.HttpStatusCode.NotFound);
        Views(await visitor.GetStringAsync("/rates")).Should().Be(42);
    }

    [Fact]
    public async Task Rates_are_asked_for_once_and_refreshed_behind_the_visitors()
    {
        using var visitor = _site.CreateClient();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => visitor.GetStringAsync("/rates")));
        answers.Select(Number).Should().AllBeEquivalentTo(1);

        _time.Advance(TimeSpan.FromSeconds(11));
        Number(await visitor.GetStringAsync("/rates")).Should().Be(1, "the old answer is shown while a new one is fetched");

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (Number(await visitor.GetStringAsync("/rates", limit.Token)) != 2)
        {
            await Task.Delay(1, limit.Token);
        }
    }

    [Fact]
    public async Task Last_rates_are_shown_while_the_service_is_down()
    {
        using var visitor = _site.CreateClient();
        await visitor.GetStringAsync("/rates");
        _site.Services.GetRequiredService<RatesSource>().IsDown = true;
        _time.Advance(TimeSpan.FromHours(20));

        var page = await visitor.GetStringAsync("/rates");

        Number(page).Should().Be(1);
        page.Should().Contain("72000 seconds old");
    }

    [Fact]
    public async Task Open_flags_page_is_notified_of_changes_of_its_tenant_alone()
    {
        using var visitor = _site.CreateClient();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var answer = await visitor.GetAsync("/flags/changes?tenant=acme", HttpCompletionOption.ResponseHeadersRead, limit.Token);
        answer.Content.Headers.ContentType!.MediaType.Should().Be("text/event-stream");
        using var events = new StreamReader(await answer.Content.ReadAsStreamAsync(limit.Token));
        await NextAsync(events, limit.Token);
        var flags = _site.Services.GetRequiredKeyedService<IKvExtendedNamespace>("FLAGS_KV");

        await flags.PutAsync("flag:globex:other", "", options: null, limit.Token);
        var next = NextAsync(events, limit.Token);
        next.IsCompleted.Should().BeFalse();
        await flags.PutAsync(
            "flag:acme:live", "", new KvPutOptions { Metadata = KvMetadata.FromJson("""{"enabled":true,"createdAt":"2026-01-01T00:00:00Z","createdBy":"ada"}""") }, limit.Token);

        (await next).Should().Be("data: changed");
        (await visitor.GetStringAsync("/flags/table?tenant=acme", limit.Token)).Should().Contain("live").And.NotContain("<html");
        (await visitor.GetAsync("/flags/changes?tenant=nobody", limit.Token)).StatusCode.Should().Be(System.Net.HttpStatusCode.NotFound);
    }

    private static async Task<string> NextAsync(StreamReader events, CancellationToken cancellationToken)
    {
        while (true)
        {
            var line = await events.ReadLineAsync(cancellationToken) ?? throw new EndOfStreamException();
            if (line.StartsWith("data:", StringComparison.Ordinal))
            {
                return line;
            }
        }
    }

    private static long Views(string page) =>
        long.Parse(ViewsOf().Match(page).Groups[1].Value, NumberStyles.AllowThousands, CultureInfo.InvariantCulture);

    private static int Number(string page) => int.Parse(NumberOf().Match(page).Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex("Pages viewed so far: ([0-9,]+)\\.")]
    private static partial Regex ViewsOf();

    [GeneratedRegex("Answer number ([0-9]+) ")]
    private static partial Regex NumberOf();
}
