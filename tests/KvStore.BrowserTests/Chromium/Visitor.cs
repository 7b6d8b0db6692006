using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using KvStore.TestKit;

namespace KvStore.BrowserTests.Chromium;

/// <summary>
/// Somebody at a browser, with cookies and storage of their own, at one application. Writes down whatever must not happen:
/// errors and warnings in the console, exceptions in scripts, violations of the content security policy, dialogs, requests to
/// anything but the application.
/// </summary>
public sealed class Visitor : IAsyncDisposable
{
    // Called by the listener that is put into each page before its own scripts run.
    private const string ViolationBinding = "__policyViolated";

    private readonly IBrowserContext _context;
    private readonly Uri _application;
    private readonly ConcurrentQueue<string> _problems = new();
    private readonly List<Regex> _expected = [];

    private Visitor(IBrowserContext context, IPage page, Uri application)
    {
        _context = context;
        _application = application;
        Page = page;
    }

    /// <summary>The page that is open.</summary>
    public IPage Page { get; }

    /// <summary>What happened that must not, less what the test expects.</summary>
    public IReadOnlyList<string> Problems => [.. _problems.Where(problem => !_expected.Any(pattern => pattern.IsMatch(problem)))];

    /// <summary>Opens a browser with an empty profile.</summary>
    public static async Task<Visitor> ArriveAsync(IBrowser browser, Uri application, BrowserNewContextOptions? options = null)
    {
        options ??= new BrowserNewContextOptions();
        options.BaseURL = application.AbsoluteUri;
        options.Locale ??= "en-GB";
        options.TimezoneId ??= "UTC";
        var context = await browser.NewContextAsync(options);
        var page = await context.NewPageAsync();
        var visitor = new Visitor(context, page, application);
        await visitor.WatchAsync();
        return visitor;
    }

    /// <summary>Goes to a path of the application.</summary>
    /// <returns>The answer.</returns>
    public async Task<IResponse> GoToAsync(string path) => (await Page.GotoAsync(path))!;

    /// <summary>Allows a problem whose description matches, for a test that provokes it.</summary>
    public void Expect([StringSyntax(StringSyntaxAttribute.Regex)] string pattern) => _expected.Add(new Regex(pattern));

    /// <summary>Presses the tab key until an element has the focus, as somebody without a mouse does.</summary>
    public async Task TabToAsync(ILocator element, int pressesMax = 60)
    {
        for (var presses = 0; presses < pressesMax; presses++)
        {
            await Page.Keyboard.PressAsync("Tab");
            if (await element.EvaluateAsync<bool>("element => element === document.activeElement"))
            {
                return;
            }
        }

        throw new InvalidOperationException($"{element} cannot be reached in {pressesMax} presses of the tab key.");
    }

    /// <summary>Does what leads to another page, and waits until that page is there.</summary>
    public async Task LeaveAsync(Func<Task> act)
    {
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void OnLoad(object? sender, IPage page) => arrived.TrySetResult();
        Page.Load += OnLoad;
        try
        {
            await act();
            await arrived.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }
        finally
        {
            Page.Load -= OnLoad;
        }
    }

    /// <summary>Clicks on what leads to another page, and waits until that page is there.</summary>
    public Task ClickToLeaveAsync(ILocator element) => LeaveAsync(() => element.ClickAsync());

    /// <summary>Presses a key that leads to another page, and waits until that page is there.</summary>
    public Task PressToLeaveAsync(string key) => LeaveAsync(() => Page.Keyboard.PressAsync(key));

    /// <summary>Whether the page is wider than the window, so that it has to be moved sideways to be read.</summary>
    public Task<bool> ScrollsSidewaysAsync() =>
        Page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth > document.documentElement.clientWidth");

    /// <summary>What the axe rules for WCAG 2.2 AA and its best practices find wrong with the page as it is now.</summary>
    public async Task<IReadOnlyList<string>> AccessibilityProblemsAsync()
    {
        var result = await Page.RunAxe(new AxeRunOptions
        {
            RunOnly = new RunOnlyOptions { Type = "tag", Values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
        });
        return [.. result.Violations.Select(violation => $"{violation.Id}: {violation.Help}: {string.Join("; ", violation.Nodes.Select(node => node.Html))}")];
    }

    /// <summary>Leaves a picture of the page in <c>artifacts/screenshots</c>.</summary>
    public async Task<string> ScreenshotAsync(string name, bool isFullPage = false)
    {
        var path = Path.Combine(SourceTree.Root, "artifacts", "screenshots", name + ".png");
        await Page.ScreenshotAsync(new PageScreenshotOptions { Path = path, FullPage = isFullPage, Animations = ScreenshotAnimations.Disabled });
        return path;
    }

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();

    private async Task WatchAsync()
    {
        _context.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning" or "assert")
            {
                _problems.Enqueue($"console {message.Type}: {message.Text} ({message.Location})");
            }
        };
        _context.WebError += (_, error) => _problems.Enqueue($"script error: {error.Error}");
        _context.Request += (_, request) => CheckAddress(request.Url);
        _context.Dialog += (_, dialog) =>
        {
            // A question before leaving a page is asked by the application's own script; let it pass, but say so.
            _problems.Enqueue($"dialog {dialog.Type}: {dialog.Message}");
            _ = dialog.DismissAsync();
        };
        _context.Page += (_, page) => page.WebSocket += (_, socket) => CheckAddress(socket.Url);
        Page.WebSocket += (_, socket) => CheckAddress(socket.Url);
        Page.Crash += (_, _) => _problems.Enqueue("the page crashed");

        await _context.ExposeBindingAsync(
            ViolationBinding, (BindingSource _, string what) => _problems.Enqueue($"content security policy: {what}"));
        await _context.AddInitScriptAsync(
            $"document.addEventListener('securitypolicyviolation', e => {ViolationBinding}(`${{e.violatedDirective}} does not allow ${{e.blockedURI}} on ${{e.documentURI}}`))");
    }

    private void CheckAddress(string url)
    {
        var uri = new Uri(url);
        if (uri.Scheme is not ("data" or "blob" or "about") && uri.Authority != _application.Authority)
        {
            _problems.Enqueue($"request to somebody else: {url}");
        }
    }
}
