using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>The page on which a visitor chooses a theme.</summary>
public sealed class ThemePageTests(ChromiumFixture chromium) : EdgeSiteTest(chromium)
{
    [SkippableFact]
    public async Task A_theme_that_is_chosen_is_there_after_a_reload_and_on_every_page()
    {
        await Visitor.GoToAsync("/");
        (await GroundAsync(Visitor)).Should().Be("rgb(246, 247, 249)", "a visitor whose system is light sees a light page");

        await Page.GetByRole(AriaRole.Radio, new() { Name = "Dark" }).CheckAsync();
        await Page.GetByRole(AriaRole.Button, new() { Name = "Keep it so" }).ClickAsync();
        await Page.ReloadAsync();

        (await Page.GetByRole(AriaRole.Radio, new() { Name = "Dark" }).IsCheckedAsync()).Should().BeTrue();
        foreach (var path in new[] { "/", "/message", "/flags" })
        {
            await Visitor.GoToAsync(path);
            (await GroundAsync(Visitor)).Should().Be("rgb(18, 21, 26)", $"{path} is dark");
        }
    }

    private static Task<string> GroundAsync(Visitor visitor) =>
        visitor.Page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
}
