using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>What a visitor keeps when the site is restarted.</summary>
public sealed class AccountPageTests(ChromiumFixture chromium) : EdgeSiteTest(chromium)
{
    [RealPartFact(RealPart.Chromium)]
    public async Task Visitor_is_signed_in_and_pages_are_cached_after_a_restart()
    {
        await SignInAsync(Page, Application);
        (await Page.GetByRole(AriaRole.Region, new() { Name = "You" }).InnerTextAsync()).Should().Contain("Signed in as Ada").And.Contain("session: 1.");
        await Visitor.GoToAsync("/report");
        var rendered = await Page.Locator("time").InnerTextAsync();

        var restarted = await RestartAsync();
        Visitor.Expect("request to somebody else: http://127.0.0.1:.*/account");
        Visitor.Expect("request to somebody else: http://127.0.0.1:.*/report");

        await Page.GotoAsync(new Uri(restarted, "/account").ToString());
        (await Page.GetByRole(AriaRole.Region, new() { Name = "You" }).InnerTextAsync()).Should().Contain("Signed in as Ada").And.Contain("session: 2.");
        await Page.GotoAsync(new Uri(restarted, "/report").ToString());
        (await Page.Locator("time").InnerTextAsync()).Should().Be(rendered, "the page comes from the cache");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Visitor_who_signs_out_everywhere_is_signed_out_in_the_other_browser()
    {
        var other = await ArriveAsync();
        await SignInAsync(other.Page, Application);
        await SignInAsync(Page, Application);

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Sign out everywhere" }));

        (await Page.GetByLabel("Your name").IsVisibleAsync()).Should().BeTrue();
        await other.GoToAsync("/account");
        (await other.Page.GetByLabel("Your name").IsVisibleAsync()).Should().BeTrue();
    }

    private static async Task SignInAsync(IPage page, Uri application)
    {
        await page.GotoAsync(new Uri(application, "/account").ToString());
        await page.GetByLabel("Your name").FillAsync("Ada");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await page.GetByRole(AriaRole.Region, new() { Name = "You" }).WaitForAsync();
    }
}
