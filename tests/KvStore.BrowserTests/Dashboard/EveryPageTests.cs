using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.Dashboard;

public sealed class EveryPageTests(ChromiumFixture chromium) : DashboardBrowserTest(chromium)
{
    [RealPartTheory(RealPart.Chromium)]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Every_page_can_be_read_by_everybody_and_needs_no_scrolling_sideways_on_a_phone(ColorScheme scheme)
    {
        foreach (var (name, path) in await PagesAsync())
        {
            await Page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = scheme });
            await Page.SetViewportSizeAsync(1280, 900);
            (await Visitor.GoToAsync(path)).Status.Should().Be(200, path);
            (await Page.TitleAsync()).Should().EndWith(" – KvStore");
            (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty($"{name}, {scheme}");
            (await Visitor.ScrollsSidewaysAsync()).Should().BeFalse(name);
            await Visitor.ScreenshotAsync($"dashboard-{name}-{scheme}".ToLowerInvariant());
            foreach (var width in new[] { Phone.Width, 320 })
            {
                await Page.SetViewportSizeAsync(width, Phone.Height);
                (await Visitor.ScrollsSidewaysAsync()).Should().BeFalse($"{name} in a width of {width}");
            }

            await Page.SetViewportSizeAsync(Phone.Width, Phone.Height);
            (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty($"{name}, {scheme}, on a phone");
            await Visitor.ScreenshotAsync($"dashboard-{name}-{scheme}-phone".ToLowerInvariant());
        }
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_theme_is_chosen_and_remembered_and_the_systems_holds_until_then()
    {
        await Page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Light });
        await Visitor.GoToAsync("/dashboard");
        var light = await GroundAsync();
        await Page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Dark });
        var dark = await GroundAsync();
        dark.Should().NotBe(light);

        await Button("Theme: system").ClickAsync();
        (await GroundAsync()).Should().Be(light, "light was chosen");
        await Button("Theme: light").ClickAsync();
        await Page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Light });
        (await GroundAsync()).Should().Be(dark, "dark was chosen");
        await Visitor.GoToAsync("/dashboard/live");
        (await GroundAsync()).Should().Be(dark, "it is remembered");
        await Button("Theme: dark").ClickAsync();
        (await GroundAsync()).Should().Be(light, "the system's holds again");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Namespaces_are_created_renamed_and_deleted()
    {
        await Visitor.GoToAsync("/dashboard");
        await Field("Title").FillAsync("of <b>mine</b>");
        await Visitor.ClickToLeaveAsync(Button("Create"));
        (await Heading.InnerTextAsync()).Should().Be("of <b>mine</b>");
        await Visitor.ClickToLeaveAsync(Link("Settings"));
        await Field("Title").FillAsync("renamed");
        await Visitor.ClickToLeaveAsync(Button("Rename"));
        (await Heading.InnerTextAsync()).Should().Be("renamed");
        await Visitor.ClickToLeaveAsync(Link("Settings"));
        await Field("To confirm, type the title: renamed").FillAsync("renamed");
        await Visitor.ClickToLeaveAsync(Button("Delete this namespace"));
        (await Page.GetByRole(AriaRole.Status).InnerTextAsync()).Should().Be("The namespace was deleted.");
        Catalog.FindByIdOrTitle("renamed").Should().BeNull();
    }

    private async Task<IEnumerable<(string Name, string Path)>> PagesAsync()
    {
        await Kv.PutAsync("theme", "dark");
        await Kv.PutAsync("flags/beta", "{\"on\":true,\"share\":0.25,\"teams\":[\"red\",\"blue\"],\"note\":null}", new KvPutOptions { Metadata = KvMetadata.FromJson("{\"by\":\"ada\",\"at\":\"2026-11-20\"}"), ExpirationTtl = TimeSpan.FromMinutes(192) });
        await Kv.PutAsync("flags/" + new string('w', 300), "long", new KvPutOptions { Metadata = KvMetadata.FromJson($"\"{new string('m', 900)}\"") });
        await Kv.PutAsync("flags/<b>odd\0 ", new byte[] { 0, 255 }, new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(40) });
        for (var i = 0; i < 150; i++)
        {
            await Kv.PutAsync($"messages/{i:000}", "x");
        }

        await Profiles.PutAsync("user:7", "{\"plan\":\"pro\"}");
        Profiles.Replication!.Pause();
        Profiles.Replication.Step();
        Profiles.Replication.Partition("sfo");
        await Profiles.PutAsync("user:7", "{\"plan\":\"team\"}");
        var profiles = $"/dashboard/ns/{Catalog.FindByIdOrTitle("profiles")!.Id}";
        return
        [
            ("namespaces", "/dashboard"), ("keys", $"{Ns}?prefix=flags%2F"), ("paged", $"{Ns}?prefix=messages%2F"), ("empty", $"{Ns}?prefix=nothing"), ("entry", EntryPath("flags/beta")),
            ("hex", EntryPath("flags/<b>odd\0 ")), ("long", EntryPath("flags/" + new string('w', 300))), ("edit", $"{Ns}/edit?key=flags%2Fbeta"), ("new", $"{Ns}/new"), ("transfer", $"{Ns}/transfer"),
            ("settings", $"{Ns}/settings"), ("regions", $"{profiles}/entry?key=user%3A7"), ("replicated", profiles), ("live", "/dashboard/live"),
        ];
    }

    private Task<string> GroundAsync() => Page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
}
