using KvStore.BrowserTests.Chromium;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>Two sites on two ports that share a database.</summary>
public sealed class TwoSitesTests(ChromiumFixture chromium) : EdgeSiteTest(chromium)
{
    protected override async Task<string?> CreateDatabaseAsync() => await (await PostgreSqlServer.Shared).CreateDatabaseAsync();

    [RealPartFact(RealPart.Chromium, RealPart.PostgreSql)]
    public async Task Flag_that_is_switched_on_one_site_is_switched_on_the_open_page_of_the_other()
    {
        var otherSite = StartAnotherSite();
        var other = await ArriveAsync(application: otherSite);
        await Visitor.GoToAsync("/flags?tenant=acme");
        await other.GoToAsync("/flags?tenant=acme");
        (await StateOf(other.Page, "new-search").InnerTextAsync()).Should().Be("off");

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Switch on new-search" }));

        await Assertions.Expect(StateOf(other.Page, "new-search")).ToHaveTextAsync("on");
        using var client = new HttpClient { BaseAddress = otherSite };
        (await client.GetStringAsync(new Uri("/flags/acme/new-search", UriKind.Relative))).Should().Be("on");

        // And back, from the other site.
        await other.ClickToLeaveAsync(other.Page.GetByRole(AriaRole.Button, new() { Name = "Switch off new-search" }));
        await Assertions.Expect(StateOf(Page, "new-search")).ToHaveTextAsync("off");
        client.BaseAddress.Should().NotBe(Application);
    }

    [RealPartFact(RealPart.Chromium, RealPart.PostgreSql)]
    public async Task Visitor_who_signs_in_on_one_site_is_signed_in_on_the_other()
    {
        var otherSite = StartAnotherSite();
        Visitor.Expect("request to somebody else: http://127.0.0.1:.*/account");
        await Visitor.GoToAsync("/account");
        await Page.GetByLabel("Your name").FillAsync("Ada");
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }));

        // Cookies do not know ports.
        await Page.GotoAsync(new Uri(otherSite, "/account").ToString());

        (await Page.GetByRole(AriaRole.Region, new() { Name = "You" }).InnerTextAsync()).Should().Contain("Signed in as Ada");
    }

    private static ILocator StateOf(IPage page, string flag) => page.GetByRole(AriaRole.Row).Filter(new() { HasText = flag }).Locator(".state");
}
