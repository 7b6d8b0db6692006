using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>The page that lists the feature flags of a tenant.</summary>
public sealed class FlagsPageTests(ChromiumFixture chromium) : EdgeSiteTest(chromium)
{
    [RealPartFact(RealPart.Chromium)]
    public async Task A_flag_is_added_switched_and_deleted_for_one_tenant_alone()
    {
        await Visitor.GoToAsync("/flags");
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Link, new() { Name = "globex" }));
        await AddAsync("one-click", "linus");
        (await RowOf("one-click").InnerTextAsync()).Should().Contain("off").And.Contain("linus");

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Switch on one-click" }));
        (await RowOf("one-click").Locator(".state").InnerTextAsync()).Should().Be("on");

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Link, new() { Name = "acme" }));
        (await RowOf("one-click").CountAsync()).Should().Be(0);
        (await RowOf("beta-checkout").CountAsync()).Should().Be(1);

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Link, new() { Name = "globex" }));
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Delete one-click" }));
        (await RowOf("one-click").CountAsync()).Should().Be(0);
        (await Namespace("FLAGS_KV").ListAsync(new() { Prefix = "flag:globex:" })).Keys.Should().HaveCount(2);
    }

    [RealPartTheory(RealPart.Chromium)]
    [InlineData("<script>window.isHarmed = true</script>")]
    [InlineData("\"><img src=x onerror='window.isHarmed=true'>")]
    [InlineData("&quot; onclick=&quot;x")]
    public async Task A_flag_with_markup_and_script_in_its_name_is_shown_switched_and_deleted(string name)
    {
        await Visitor.GoToAsync("/flags");
        await AddAsync(name, name);
        (await Page.Locator("code").AllInnerTextsAsync()).Should().Contain(name);

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Switch on " + name, Exact = true }));
        (await Page.GetByRole(AriaRole.Button, new() { Name = "Switch off " + name, Exact = true }).CountAsync()).Should().Be(1);
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Delete " + name, Exact = true }));

        (await Page.Locator("code").AllInnerTextsAsync()).Should().HaveCount(3).And.NotContain(name);
        (await Page.EvaluateAsync<bool>("() => 'isHarmed' in window")).Should().BeFalse();
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_longest_names_leave_the_buttons_where_they_can_be_seen()
    {
        await Visitor.GoToAsync("/flags");
        await AddAsync(new string('W', 60), new string('W', 60));

        var button = Page.GetByRole(AriaRole.Button, new() { Name = "Delete beta-checkout" });
        var box = (await button.BoundingBoxAsync())!;
        var card = (await Page.GetByRole(AriaRole.Region, new() { Name = "Flags of acme" }).BoundingBoxAsync())!;
        (box.X + box.Width).Should().BeLessThan(card.X + card.Width);
        (await RowOf("beta-checkout").BoundingBoxAsync())!.Height.Should().BeLessThan(120);
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Wrongly_filled_form_shows_why_on_a_page_of_the_site()
    {
        await Visitor.GoToAsync("/flags");
        Visitor.Expect("console error: .*400");

        await AddAsync(" ", "linus");

        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Be("A flag's name must have 1 to 60 characters.");
        (await Page.GetByRole(AriaRole.Navigation, new() { Name = "Pages" }).IsVisibleAsync()).Should().BeTrue();
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Unknown_tenant_is_reported_on_a_page_of_the_site()
    {
        Visitor.Expect("console error: .*404");

        (await Visitor.GoToAsync("/flags?tenant=nobody")).Status.Should().Be(404);
        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Contain("acme, globex");
        (await Visitor.GoToAsync("/nowhere")).Status.Should().Be(404);
        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Contain("no such page");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task A_flag_can_be_added_and_switched_without_a_mouse()
    {
        await Visitor.GoToAsync("/flags");

        await Visitor.TabToAsync(Page.GetByLabel("New flag"));
        await Page.Keyboard.TypeAsync("typed");
        await Page.Keyboard.PressAsync("Tab");
        await Page.Keyboard.TypeAsync("linus");
        await Visitor.PressToLeaveAsync("Enter");
        await Visitor.TabToAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Switch on typed" }));
        await Visitor.PressToLeaveAsync("Space");

        (await RowOf("typed").Locator(".state").InnerTextAsync()).Should().Be("on");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Open_page_shows_changes_made_elsewhere_and_keeps_the_focus()
    {
        await Visitor.GoToAsync("/flags?tenant=acme");
        await Page.GetByRole(AriaRole.Button, new() { Name = "Delete beta-checkout" }).FocusAsync();
        var flags = Namespace("FLAGS_KV");
        var metadata = KvMetadata.FromJson("""{"enabled":true,"createdAt":"2026-01-01T00:00:00Z","createdBy":"<b>elsewhere</b>"}""");

        await flags.PutAsync("flag:acme:made-elsewhere", "", new KvPutOptions { Metadata = metadata });
        await RowOf("made-elsewhere").WaitForAsync();
        (await RowOf("made-elsewhere").InnerTextAsync()).Should().Contain("on").And.Contain("<b>elsewhere</b>");
        (await Page.EvaluateAsync<string>("() => document.activeElement.getAttribute('aria-label')")).Should().Be("Delete beta-checkout");

        await flags.DeleteAsync("flag:acme:made-elsewhere");
        await RowOf("made-elsewhere").WaitForAsync(new() { State = WaitForSelectorState.Detached });

        await flags.PutAsync("flag:acme:fresh", "", new KvPutOptions { Metadata = metadata });
        await RowOf("fresh").WaitForAsync();
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Switch off fresh" }));
        (await RowOf("fresh").Locator(".state").InnerTextAsync()).Should().Be("off");
    }

    private ILocator RowOf(string flag) => Page.GetByRole(AriaRole.Row).Filter(new() { HasText = flag });

    private async Task AddAsync(string name, string by)
    {
        await Page.GetByLabel("New flag").FillAsync(name);
        await Page.GetByLabel("Added by").FillAsync(by);
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }));
    }
}
