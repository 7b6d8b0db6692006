using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.Dashboard;

public sealed class WithoutScriptTests(ChromiumFixture chromium) : DashboardBrowserTest(chromium)
{
    [RealPartFact(RealPart.Chromium)]
    public async Task Entries_are_put_imported_and_deleted_where_no_script_runs()
    {
        await Visitor.GoToAsync($"{Ns}/new");
        await Field("Key").FillAsync("k");
        await Field("Value").FillAsync("a\nb");
        await Button("Save").ClickAsync();
        await Assertions.Expect(Page.GetByRole(AriaRole.Status)).ToHaveTextAsync("The entry was saved.");
        (await Kv.GetTextAsync("k")).Should().Be("a\nb");

        await Page.Locator("summary", new PageLocatorOptions { HasText = "Delete…" }).ClickAsync();
        await Button("Delete this entry").ClickAsync();
        await Assertions.Expect(Page.GetByRole(AriaRole.Status)).ToHaveTextAsync("The entry was deleted.");
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();

        await Page.GotoAsync($"{Ns}/transfer");
        await Field("Bulk file").SetInputFilesAsync(new FilePayload { Name = "b.json", MimeType = "application/json", Buffer = "[{\"key\":\"i\",\"value\":\"v\"}]"u8.ToArray() });
        await Button("Import").ClickAsync();
        await Assertions.Expect(Page.GetByRole(AriaRole.Status)).ToHaveTextAsync("1 entry imported.");
        (await Kv.GetTextAsync("i")).Should().Be("v");
    }

    protected override BrowserNewContextOptions FirstVisitor() => new() { JavaScriptEnabled = false };
}
