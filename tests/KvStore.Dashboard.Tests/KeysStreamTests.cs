using System.Net;

namespace KvStore.Dashboard.Tests;

public sealed class KeysStreamTests : DashboardTest
{
    protected override void Configure(KvDashboardOptions options) => options.WatchersMax = 2;

    [Fact]
    public async Task Page_of_keys_names_the_stream_of_its_prefix()
    {
        (await Browser.GetAsync($"{Ns}?prefix=a%26b%2F")).Main.Should().Contain($"data-stream=\"/dashboard{Ns}/changes?prefix=a%26b%2F\"");
    }

    [Fact]
    public async Task Stream_notifies_of_changes_of_the_prefix_at_most_once_a_second()
    {
        using var response = await Browser.OpenAsync($"{Ns}/changes?prefix=a%2F");
        response.Content.Headers.ContentType!.MediaType.Should().Be("text/event-stream");
        response.Headers.CacheControl!.NoStore.Should().BeTrue();
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        (await NextAsync(lines)).Should().Be("retry: 3000");
        await Kv.PutAsync("b", "v");
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < 100; i++)
            {
                await Kv.PutAsync($"a/{i}", "v");
            }

            var next = NextAsync(lines);
            while (!next.IsCompleted)
            {
                Time.Advance(TimeSpan.FromSeconds(1));
                await Task.WhenAny(next, Task.Delay(20));
            }

            (await next).Should().BeOneOf("data: changed", ": nothing new");
        }

        // Nothing of a hundred changes is left over.
        var quiet = NextAsync(lines);
        while (!quiet.IsCompleted)
        {
            Time.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(quiet, Task.Delay(20));
        }

        (await quiet).Should().StartWith(": ");
    }

    [Fact]
    public async Task Stream_of_an_expired_key_notifies_too()
    {
        await Kv.PutAsync("a", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        using var response = await Browser.OpenAsync($"{Ns}/changes?prefix=");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        (await NextAsync(lines)).Should().Be("retry: 3000");
        var seen = "";
        for (var i = 0; i < 500 && seen != "data: changed"; i++)
        {
            var next = NextAsync(lines);
            while (!next.IsCompleted)
            {
                Time.Advance(TimeSpan.FromSeconds(1));
                await Task.WhenAny(next, Task.Delay(5));
            }

            seen = await next;
        }

        seen.Should().Be("data: changed");
    }

    [Fact]
    public async Task No_more_pages_follow_changes_than_there_may_be()
    {
        using var first = await Browser.OpenAsync($"{Ns}/changes?prefix=");
        using var second = await Browser.OpenAsync($"{Ns}/changes?prefix=");
        using var third = await Browser.OpenAsync($"{Ns}/changes?prefix=");
        (first.StatusCode, second.StatusCode, third.StatusCode).Should().Be((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable));
    }

    [Fact]
    public async Task Stream_is_for_who_may_see_the_dashboard()
    {
        using var stranger = new DashboardClient(Host.Url, user: null);
        using var response = await stranger.OpenAsync($"{Ns}/changes?prefix=");
        response.StatusCode.Should().NotBe(HttpStatusCode.OK);
        response.Content.Headers.ContentType?.MediaType.Should().NotBe("text/event-stream");
    }

    [Fact]
    public async Task Open_pages_of_keys_do_not_keep_the_server_from_ending()
    {
        await using var host = await DashboardHost.StartAsync(Catalog, Time);
        using var browser = new DashboardClient(host.Url);
        using var response = await browser.OpenAsync($"{Ns}/changes?prefix=");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        await lines.ReadLineAsync();
        await host.DisposeAsync();
        await lines.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(20));
    }

    private static async Task<string> NextAsync(StreamReader lines)
    {
        while (true)
        {
            var line = await lines.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30));
            line.Should().NotBeNull();
            if (line!.Length > 0)
            {
                return line;
            }
        }
    }
}
