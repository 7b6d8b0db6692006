using System.Text.RegularExpressions;
using KvStore.AspNetCore.Tests;
using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.KvServer;

/// <summary>The way into the dashboard of the server that is ready to run, as a process of its own.</summary>
public sealed partial class SignInPageTests(ChromiumFixture chromium) : BrowserTest(chromium)
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-sign-in-page-").FullName;

    private KvServerProcess? _server;

    private string Secret => SecretOf().Match(_server!.Printed).Groups[1].Value;

    private ILocator Token => Page.GetByLabel("Token of this server");

    private ILocator Alert => Page.GetByRole(AriaRole.Alert);

    [RealPartFact(RealPart.Chromium)]
    public async Task Right_token_signs_in_a_wrong_one_is_refused_and_signing_out_ends_the_session()
    {
        await Visitor.GoToAsync("/dashboard/live");
        new Uri(Page.Url).PathAndQuery.Should().Be("/sign-in?ReturnUrl=%2Fdashboard%2Flive", "who has not signed in is led to where to");
        (await Token.EvaluateAsync<bool>("field => field === document.activeElement")).Should().BeTrue("it can be typed at once");

        Visitor.Expect("400");
        await Token.FillAsync("not-the-token-of-this-server");
        await Visitor.PressToLeaveAsync("Enter");
        (await Alert.InnerTextAsync()).Should().Be("This is not the token of this server.");
        (await Token.InputValueAsync()).Should().BeEmpty("it is not sent back");

        await Token.FillAsync(Secret);
        await Visitor.PressToLeaveAsync("Enter");
        new Uri(Page.Url).PathAndQuery.Should().Be("/dashboard/live", "that is where the visitor wanted to go");
        (await Page.GetByRole(AriaRole.Heading, new PageGetByRoleOptions { Level = 1 }).InnerTextAsync()).Should().Be("Live");

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Sign out" }));
        new Uri(Page.Url).AbsolutePath.Should().Be("/sign-in");
        await Visitor.GoToAsync("/dashboard");
        new Uri(Page.Url).AbsolutePath.Should().Be("/sign-in", "it has signed out");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Too_many_wrong_tokens_lock_out_the_address_in_every_browser()
    {
        Visitor.Expect("400|429");
        await Visitor.GoToAsync("/sign-in");
        for (var i = 0; i < 10; i++)
        {
            await Token.FillAsync($"guess-number-{i:0000}");
            await Visitor.PressToLeaveAsync("Enter");
        }

        (await Alert.InnerTextAsync()).Should().Be("This is not the token of this server.");
        var another = await ArriveAsync();
        another.Expect("429");
        await another.GoToAsync("/sign-in");
        await another.Page.GetByLabel("Token of this server").FillAsync(Secret);
        await another.PressToLeaveAsync("Enter");
        (await another.Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().StartWith("Too many wrong tokens came from your address. Try again in");
    }

    [RealPartTheory(RealPart.Chromium)]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task The_page_can_be_read_by_everybody_and_needs_no_scrolling_sideways_on_a_phone(ColorScheme scheme)
    {
        Visitor.Expect("400");
        await Page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = scheme });
        await Visitor.GoToAsync("/sign-in");
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty();
        await Visitor.ScreenshotAsync($"sign-in-{scheme}".ToLowerInvariant());
        await Token.FillAsync("not-the-token-of-this-server");
        await Visitor.PressToLeaveAsync("Enter");
        (await Visitor.AccessibilityProblemsAsync()).Should().BeEmpty("what went wrong can be read, too");
        foreach (var width in new[] { 320, Phone.Width })
        {
            await Page.SetViewportSizeAsync(width, Phone.Height);
            (await Visitor.ScrollsSidewaysAsync()).Should().BeFalse($"in a width of {width}");
        }

        await Visitor.ScreenshotAsync($"sign-in-{scheme}-phone".ToLowerInvariant());
    }

    protected override async Task<Uri> StartAsync()
    {
        _server = await KvServerProcess.StartAsync(_directory);
        return new Uri(_server.Url);
    }

    protected override Task StopAsync()
    {
        _server!.Dispose();
        Directory.Delete(_directory, recursive: true);
        return Task.CompletedTask;
    }

    [GeneratedRegex("shown this once: (\\S+)")]
    private static partial Regex SecretOf();
}
