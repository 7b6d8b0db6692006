using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>The page on which a visitor chooses a theme.</summary>
public sealed class ThemePageTests(ChromiumFixture chromium) : EdgeSiteTest(chromium)
{
    private const string LightGround = "rgb(246, 247, 249)";
    private const string DarkGround = "rgb(18, 21, 26)";

    [RealPartFact(RealPart.Chromium)]
    public async Task A_theme_that_is_chosen_is_there_after_a_reload_and_on_every_page()
    {
        await Visitor.GoToAsync("/");
        (await GroundAsync(Visitor)).Should().Be(LightGround, "a visitor whose system is light sees a light page");

        await Page.GetByRole(AriaRole.Radio, new() { Name = "Dark" }).CheckAsync();
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Keep it so" }));
        await Page.ReloadAsync();

        (await Page.GetByRole(AriaRole.Radio, new() { Name = "Dark" }).IsCheckedAsync()).Should().BeTrue();
        foreach (var path in Paths)
        {
            await Visitor.GoToAsync(path);
            (await GroundAsync(Visitor)).Should().Be(DarkGround, $"{path} is dark");
        }
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Another_visitor_does_not_see_the_theme_that_was_chosen()
    {
        await Visitor.GoToAsync("/");
        await Page.GetByRole(AriaRole.Radio, new() { Name = "Dark" }).CheckAsync();
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Keep it so" }));
        (await GroundAsync(Visitor)).Should().Be(DarkGround);

        var other = await ArriveAsync();
        await other.GoToAsync("/");

        (await GroundAsync(other)).Should().Be(LightGround);
        (await other.Page.GetByRole(AriaRole.Radio, new() { Name = "System" }).IsCheckedAsync()).Should().BeTrue();
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_theme_of_the_system_follows_the_system_and_a_chosen_one_does_not()
    {
        var other = await ArriveAsync(new() { ColorScheme = ColorScheme.Dark });
        await other.GoToAsync("/");
        (await GroundAsync(other)).Should().Be(DarkGround);

        await other.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
        (await GroundAsync(other)).Should().Be(LightGround);

        await other.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
        await other.Page.GetByRole(AriaRole.Radio, new() { Name = "Light" }).CheckAsync();
        await other.ClickToLeaveAsync(other.Page.GetByRole(AriaRole.Button, new() { Name = "Keep it so" }));
        (await GroundAsync(other)).Should().Be(LightGround);
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task A_theme_can_be_chosen_without_a_mouse()
    {
        await Visitor.GoToAsync("/");

        await Visitor.TabToAsync(Page.GetByRole(AriaRole.Radio, new() { Name = "System" }));
        await Page.Keyboard.PressAsync("ArrowDown");
        await Page.Keyboard.PressAsync("ArrowDown");
        await Visitor.TabToAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Keep it so" }));
        await Visitor.PressToLeaveAsync("Enter");

        (await GroundAsync(Visitor)).Should().Be(DarkGround);
    }

    private static Task<string> GroundAsync(Visitor visitor) =>
        visitor.Page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
}
