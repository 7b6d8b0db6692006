using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.Dashboard;

public sealed class EntriesTests(ChromiumFixture chromium) : DashboardBrowserTest(chromium)
{
    [RealPartFact(RealPart.Chromium)]
    public async Task Somebody_browses_to_an_entry_edits_it_and_deletes_it()
    {
        await Kv.PutAsync("flags/beta", "{\"on\":true}", new KvPutOptions { Metadata = KvMetadata.FromJson("\"ada\"") });
        await Kv.PutAsync("theme", "dark");
        await Visitor.GoToAsync("/dashboard");
        await Visitor.ClickToLeaveAsync(Link("settings"));
        await Visitor.ClickToLeaveAsync(Link("Folder flags/"));
        await Visitor.ClickToLeaveAsync(Link("beta"));
        (await Heading.InnerTextAsync()).Should().Be("flags/beta");
        (await Page.Locator("pre.json").First.InnerTextAsync()).Trim().Should().Be("{\n  \"on\": true\n}");

        await Visitor.ClickToLeaveAsync(Link("Edit"));
        (await Field("Value").InputValueAsync()).Should().Be("{\"on\":true}");
        await Field("Value").FillAsync("first\nsecond ✓");
        await Field("Metadata").FillAsync("{\"by\": \"grace\"}");
        await Field("After").CheckAsync();
        await Field("Time to live").FillAsync("2");
        await Visitor.ClickToLeaveAsync(Button("Save"));

        (await Page.GetByRole(AriaRole.Status).InnerTextAsync()).Should().Be("The entry was saved.");
        var entry = await Kv.GetAsync("flags/beta");
        entry.GetText().Should().Be("first\nsecond ✓");
        entry.Metadata.ToString().Should().Be("{\"by\":\"grace\"}");
        (await Page.Locator("time").InnerTextAsync()).Should().MatchRegex("^in (2 h|1 h 59 min)$");

        await Button("Delete…").ClickAsync();
        await Button("Cancel").ClickAsync();
        (await Kv.GetAsync("flags/beta")).Exists.Should().BeTrue();
        await Button("Delete…").ClickAsync();
        await Visitor.ClickToLeaveAsync(Button("Delete this entry"));
        (await Page.GetByRole(AriaRole.Status).InnerTextAsync()).Should().Be("The entry was deleted.");
        (await Kv.GetAsync("flags/beta")).Exists.Should().BeFalse();
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Wrong_new_entry_shows_its_error_keeps_the_input_and_succeeds_when_corrected()
    {
        Visitor.Expect("status of 400");
        await Visitor.GoToAsync(Ns);
        await Visitor.ClickToLeaveAsync(Link("New entry"));
        await Field("Key").FillAsync("a/new key");
        await Field("Value").FillAsync("typed");
        await Field("Metadata").FillAsync("not json");
        await Visitor.ClickToLeaveAsync(Button("Save"));

        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Contain("not one JSON value");
        (await Field("Value").InputValueAsync()).Should().Be("typed");
        (await Field("Metadata").EvaluateAsync<bool>("field => field === document.activeElement")).Should().BeTrue("the field that is wrong has the focus");
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();
        await Field("Metadata").FillAsync("\"json\"");
        await Visitor.ClickToLeaveAsync(Button("Save"));

        (await Heading.InnerTextAsync()).Should().Be("a/new key");
        (await Kv.GetTextAsync("a/new key")).Should().Be("typed");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Value_saved_by_somebody_else_meanwhile_is_not_overwritten_unseen()
    {
        Visitor.Expect("status of 409");
        await Kv.PutAsync("k", "first");
        await Visitor.GoToAsync($"{Ns}/edit?key=k");
        await Field("Value").FillAsync("mine");
        await Kv.PutAsync("k", "by somebody else");
        await Visitor.ClickToLeaveAsync(Button("Save"));

        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Contain("Somebody has changed this entry");
        (await Kv.GetTextAsync("k")).Should().Be("by somebody else");
        await Visitor.ClickToLeaveAsync(Button("Save"));
        (await Kv.GetTextAsync("k")).Should().Be("mine");
    }

    [RealPartTheory(RealPart.Chromium)]
    [InlineData("<script>window.executed = 1; alert(1)</script>")]
    [InlineData("\"><img src=x onerror='window.executed = 1'>")]
    [InlineData("</textarea></title><svg onload='window.executed = 1'>")]
    [InlineData("javascript:window.executed=1")]
    [InlineData("with\0nul \n and \u202E turned")]
    public async Task A_key_with_html_and_script_in_it_is_shown_and_never_executed(string hostile)
    {
        await Kv.PutAsync(hostile, hostile, new KvPutOptions { Metadata = KvMetadata.From(hostile) });
        await Visitor.GoToAsync($"{Ns}?d=");
        (await Page.Locator("td, th").CountAsync()).Should().Be(6, "the page has the cells that it is to have");
        await Visitor.ClickToLeaveAsync(Page.Locator("tbody a.key"));
        if (!hostile.Contains('\0'))
        {
            (await Heading.InnerTextAsync()).Should().Be(hostile);
            (await Page.Locator("pre.text").InnerTextAsync()).Should().Be(hostile);
        }

        await Visitor.ClickToLeaveAsync(Link("Hex"));
        await Visitor.ClickToLeaveAsync(Link("Edit"));
        (await Page.EvaluateAsync<bool>("() => 'executed' in window")).Should().BeFalse();
        await Visitor.ClickToLeaveAsync(Button("Save"));
        (await Kv.GetTextAsync(hostile)).Should().Be(hostile);
        (await Page.EvaluateAsync<bool>("() => 'executed' in window")).Should().BeFalse();
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Paging_a_hundred_thousand_keys_takes_one_request_and_one_page_of_rows_each()
    {
        for (var i = 0; i < 100_000; i++)
        {
            await Kv.PutAsync($"sessions/{i:000000}", "v");
        }

        await Visitor.GoToAsync(Ns);
        (await Page.Locator("tbody tr").CountAsync()).Should().Be(1, "all are in one folder");
        var pages = new List<string>();
        var others = new List<string>();
        await Visitor.ClickToLeaveAsync(Link("Folder sessions/"));
        Page.Request += (_, request) => (request.IsNavigationRequest ? pages : others).Add(request.Url);
        for (var page = 1; page <= 5; page++)
        {
            await Visitor.ClickToLeaveAsync(Link("Next"));
            (await Page.Locator("tbody tr").CountAsync()).Should().Be(100);
            (await Page.Locator("tbody tr").First.InnerTextAsync()).Should().StartWith($"{page * 100:000000}");
        }

        pages.Should().HaveCount(5);

        // The stream of changes of each page that was shown, and what changed before it began.
        others.Count(url => !url.Contains("/assets/")).Should().BeLessThanOrEqualTo(2 * 6);
        await Visitor.ClickToLeaveAsync(Link("Previous"));
        (await Page.Locator("tbody tr").First.InnerTextAsync()).Should().StartWith("000400");
        await Visitor.LeaveAsync(() => Page.GoBackAsync());
        (await Page.Locator("tbody tr").First.InnerTextAsync()).Should().StartWith("000500");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Everything_can_be_done_with_the_keyboard_alone()
    {
        await Kv.PutAsync("k", "old");
        await Visitor.GoToAsync("/dashboard");
        await Page.Keyboard.PressAsync("Tab");
        (await Page.EvaluateAsync<string>("() => document.activeElement.textContent")).Should().Be("Skip to the content");
        await Page.Keyboard.PressAsync("Enter");
        await Visitor.TabToAsync(Link("settings"), 10);
        await Visitor.PressToLeaveAsync("Enter");
        await Visitor.TabToAsync(Link("k"));
        await Visitor.PressToLeaveAsync("Enter");
        await Visitor.TabToAsync(Link("Edit"));
        await Visitor.PressToLeaveAsync("Enter");
        await Visitor.TabToAsync(Field("Value"));
        await Page.Keyboard.PressAsync("Control+A");
        await Page.Keyboard.TypeAsync("typed");
        await Visitor.TabToAsync(Button("Save"));
        await Visitor.PressToLeaveAsync("Enter");
        (await Kv.GetTextAsync("k")).Should().Be("typed");

        await Visitor.TabToAsync(Button("Delete…"));
        await Page.Keyboard.PressAsync("Enter");
        await Page.Keyboard.PressAsync("Escape");
        (await Button("Delete…").EvaluateAsync<bool>("button => button === document.activeElement")).Should().BeTrue("the focus comes back");
        await Page.Keyboard.PressAsync("Enter");
        await Visitor.TabToAsync(Button("Delete this entry"), 5);
        await Visitor.PressToLeaveAsync("Enter");
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
    }
}
