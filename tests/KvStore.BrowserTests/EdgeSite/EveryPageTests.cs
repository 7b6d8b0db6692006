using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>What holds for all pages of the site.</summary>
public sealed class EveryPageTests(ChromiumFixture chromium) : EdgeSiteTest(chromium)
{
    public static TheoryData<string, ColorScheme> PagesAndSchemes()
    {
        var data = new TheoryData<string, ColorScheme>();
        foreach (var path in Paths)
        {
            data.Add(path, ColorScheme.Light);
            data.Add(path, ColorScheme.Dark);
        }

        return data;
    }

    [RealPartTheory(RealPart.Chromium)]
    [MemberData(nameof(PagesAndSchemes))]
    public async Task A_page_keeps_the_rules_of_accessibility_at_every_width(string path, ColorScheme scheme)
    {
        await Page.EmulateMediaAsync(new() { ColorScheme = scheme });
        await LongNamesAsync();
        foreach (var (width, height) in new[] { (320, 640), (Phone.Width, Phone.Height), (1280, 800) })
        {
            await Page.SetViewportSizeAsync(width, height);
            await Visitor.GoToAsync(path);
            (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();
            (await Visitor.ScrollsSidewaysAsync()).Should().BeFalse($"{path} fits {width} pixels");
        }
    }

    [RealPartTheory(RealPart.Chromium)]
    [MemberData(nameof(PagesAndSchemes))]
    public async Task A_page_can_be_photographed(string path, ColorScheme scheme)
    {
        await Page.EmulateMediaAsync(new() { ColorScheme = scheme });
        await Page.SetViewportSizeAsync(1000, 620);
        await Visitor.GoToAsync(path);

        var picture = await Visitor.ScreenshotAsync($"edgesite-{(path == "/" ? "theme" : path[1..])}-{scheme}".ToLowerInvariant());

        new FileInfo(picture).Length.Should().BeGreaterThan(5000);
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_first_press_of_the_tab_key_offers_to_skip_to_the_content()
    {
        await Visitor.GoToAsync("/flags");

        var skip = Page.GetByRole(AriaRole.Link, new() { Name = "Skip to the content" });
        await Visitor.TabToAsync(skip, pressesMax: 1);
        (await skip.BoundingBoxAsync())!.X.Should().BeGreaterThanOrEqualTo(0, "it can be seen while it has the focus");
        await Page.Keyboard.PressAsync("Enter");
        await Visitor.TabToAsync(Page.GetByRole(AriaRole.Link, new() { Name = "acme" }), pressesMax: 1);
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_page_that_one_is_on_is_marked_in_the_navigation()
    {
        await Visitor.GoToAsync("/");
        foreach (var name in new[] { "Pinned message", "Feature flags", "Theme" })
        {
            await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Link, new() { Name = name }));
            (await Page.Locator("nav[aria-label=Pages] [aria-current=page]").AllInnerTextsAsync()).Should().Equal(name);
            (await Page.GetByRole(AriaRole.Heading, new() { Level = 1 }).InnerTextAsync()).Should().Be(name);
            (await Page.TitleAsync()).Should().StartWith(name);
        }
    }

    private async Task LongNamesAsync()
    {
        await Namespace("MESSAGES_KV").PutAsync("pinned", new string('W', 500));
        await Namespace("FLAGS_KV").PutAsync(
            "flag:acme:" + new string('w', 60), "", new() { Metadata = KvMetadata.FromJson("""{"enabled":true,"createdAt":"2026-01-12T09:30:00Z","createdBy":"WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW"}""") });
    }
}
