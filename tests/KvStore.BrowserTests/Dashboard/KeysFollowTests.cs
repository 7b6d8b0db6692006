using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.Dashboard;

public sealed class KeysFollowTests(ChromiumFixture chromium) : DashboardBrowserTest(chromium)
{
    [RealPartFact(RealPart.Chromium)]
    public async Task List_of_keys_follows_changes_and_keeps_focus_and_rows()
    {
        foreach (var key in new[] { "a/1", "a/2", "a/3", "b" })
        {
            await Kv.PutAsync(key, "v");
        }

        await Visitor.GoToAsync($"{Ns}?prefix=a%2F");
        await Assertions.Expect(Page.Locator("#keys-state")).ToHaveTextAsync("The list follows changes.");
        await Page.Locator("#keys[data-refreshed]").WaitForAsync();
        await Link("2").FocusAsync();
        await Page.EvaluateAsync("() => { document.querySelectorAll('#keys tbody tr')[2].isTheSame = true; }");

        await Kv.PutAsync("a/0", "v");
        await Kv.DeleteAsync("a/1");
        await Kv.PutAsync("a/2", "v", new KvPutOptions { Metadata = KvMetadata.FromJson("\"ada\"") });
        await Kv.PutAsync("b/1", "v");

        await Assertions.Expect(Page.Locator("#keys tbody a.key")).ToHaveTextAsync(["0", "2", "3"], new LocatorAssertionsToHaveTextOptions { Timeout = 30_000 });
        await Assertions.Expect(Page.Locator("#keys tbody tr").Nth(1)).ToContainTextAsync("\"ada\"");
        (await Link("2").EvaluateAsync<bool>("link => link === document.activeElement")).Should().BeTrue("the row was replaced, and the focus went with it");
        (await Page.Locator("#keys tbody tr").Nth(2).EvaluateAsync<bool>("row => row.isTheSame === true")).Should().BeTrue("its row has not changed");
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task List_that_was_empty_or_becomes_empty_follows_too()
    {
        await Visitor.GoToAsync(Ns);
        await Assertions.Expect(Page.Locator("#keys .empty")).ToBeVisibleAsync();
        await Page.Locator("#keys[data-refreshed]").WaitForAsync();
        await Kv.PutAsync("k", "v");
        await Assertions.Expect(Link("k")).ToBeVisibleAsync(new LocatorAssertionsToBeVisibleOptions { Timeout = 30_000 });
        await Kv.DeleteAsync("k");
        await Assertions.Expect(Page.Locator("#keys .empty")).ToBeVisibleAsync(new LocatorAssertionsToBeVisibleOptions { Timeout = 30_000 });
    }
}
