using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvStore.BrowserTests.Chromium;

/// <summary>That what must not happen to a visitor is noticed: each page here does one such thing.</summary>
public sealed class VisitorTests(ChromiumFixture chromium) : BrowserTest(chromium)
{
    private WebApplication? _app;

    public static TheoryData<string, string> Misdeeds => new()
    {
        { "<script>console.error('said')</script>", "console error: said" },
        { "<script>throw new Error('thrown')</script>", "script error: .*thrown" },
        { "<script>Promise.reject(new Error('dropped'))</script>", "script error: .*dropped" },
        { "<script>alert('asked')</script>", "dialog alert: asked" },
        { "<img src='http://127.0.0.1:9/elsewhere' alt=''>", "request to somebody else: http://127.0.0.1:9/elsewhere" },
        { "<script>fetch('http://127.0.0.1:9/elsewhere').catch(() => {})</script>", "request to somebody else: http://127.0.0.1:9/elsewhere" },
        { "<img src='/missing' alt=''>", "console error: .*404" },
        { "<p style='color: red'>", "content security policy: style-src-attr does not allow inline" },
    };

    [RealPartTheory(RealPart.Chromium)]
    [MemberData(nameof(Misdeeds))]
    public async Task Fault_on_a_page_is_noticed(string html, string description)
    {
        await Visitor.GoToAsync("/?html=" + Uri.EscapeDataString(html));
        await Page.EvaluateAsync("() => new Promise(done => setTimeout(done, 0))");

        string.Join('\n', Visitor.Problems).Should().MatchRegex(description);
        Visitor.Expect(".");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task A_page_without_a_fault_is_no_problem()
    {
        await Visitor.GoToAsync("/?html=" + Uri.EscapeDataString("<h1>Fine</h1><script>console.log('fine')</script><img src='data:,' alt='' hidden>"));

        Visitor.Problems.Should().BeEmpty();
        (await Visitor.ScrollsSidewaysAsync()).Should().BeFalse();
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task A_page_that_is_too_wide_or_hard_to_read_is_noticed()
    {
        await Visitor.GoToAsync("/?html=" + Uri.EscapeDataString("<h1>Wide</h1><p style='width: 3000px; color: #ccc; background: #fff'>pale</p>"));

        (await Visitor.ScrollsSidewaysAsync()).Should().BeTrue();
        string.Join('\n', await Visitor.AccessibilityProblemsAsync()).Should().Contain("color-contrast");
    }

    protected override async Task<Uri> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapGet("/", (HttpContext context, string html) =>
        {
            context.Response.Headers.ContentSecurityPolicy = html.StartsWith("<p", StringComparison.Ordinal) ? "style-src 'none'" : default;
            return Results.Content($"<!DOCTYPE html><html lang=en><meta charset=utf-8><link rel=icon href='data:,'><title>A page</title><main>{html}</main></html>", "text/html");
        });
        await _app.StartAsync();
        return new Uri(_app.Urls.First());
    }

    protected override async Task StopAsync() => await _app!.DisposeAsync();
}
