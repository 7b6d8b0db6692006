using System.Text;
using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.Dashboard;

public sealed class TransferBrowserTests(ChromiumFixture chromium) : DashboardBrowserTest(chromium)
{
    [RealPartFact(RealPart.Chromium)]
    public async Task A_bulk_file_is_imported_with_progress_and_exported_again()
    {
        var file = $"[{string.Join(',', Enumerable.Range(0, 20_000).Select(i => $"{{\"key\":\"k{i:00000}\",\"value\":\"value {{[\\\" {i}\",\"metadata\":{{\"key\":[{i}]}}}}"))},{{\"key\":\"bad\"}}]";
        await Visitor.GoToAsync($"{Ns}/transfer");
        await Page.EvaluateAsync("""
            () => {
              window.progress = [];
              const bar = document.querySelector("#import-progress progress");
              new MutationObserver(() => progress.push(bar.value)).observe(bar, { attributes: true });
            }
            """);
        await Field("Bulk file").SetInputFilesAsync(new FilePayload { Name = "bulk.json", MimeType = "application/json", Buffer = Encoding.UTF8.GetBytes(file) });
        await Button("Import").ClickAsync();

        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Be("20,000 entries imported. 1 entry was refused:");
        (await Page.Locator("#outcome li").InnerTextAsync()).Should().Contain("Entry 20000 bad").And.Contain("\"value\" is missing");
        (await Page.EvaluateAsync<double[]>("() => progress")).Should().NotBeEmpty().And.BeInAscendingOrder().And.EndWith(100);
        (await Page.Locator("#import-state").InnerTextAsync()).Should().Be("Done.");
        Kv.Count.Should().Be(20_000);
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();

        await Page.ReloadAsync();
        var download = await Page.RunAndWaitForDownloadAsync(() => Button("Export").ClickAsync());
        download.SuggestedFilename.Should().Be("settings.json");
        await Assertions.Expect(Page.Locator("#export-state")).ToContainTextAsync("Done: 20,000 entries");
        await using var exported = await download.CreateReadStreamAsync();
        await using var copy = KvNamespace.Create("copy");
        (await KvBulk.ImportAsync(copy, exported)).Imported.Should().Be(20_000);
        (await copy.GetTextAsync("k19999")).Should().Be("value {[\" 19999");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task File_that_is_no_bulk_file_is_reported()
    {
        Visitor.Expect("status of 400");
        await Visitor.GoToAsync($"{Ns}/transfer");
        await Field("Bulk file").SetInputFilesAsync(new FilePayload { Name = "bulk.json", MimeType = "application/json", Buffer = "<script>alert(1)</script>"u8.ToArray() });
        await Button("Import").ClickAsync();

        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Contain("not a JSON array");
        Kv.Count.Should().Be(0);
    }
}
