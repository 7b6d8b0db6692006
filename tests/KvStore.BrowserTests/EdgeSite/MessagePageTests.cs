using KvStore.BrowserTests.Chromium;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>The page on which anybody pins a message that everybody sees.</summary>
public sealed class MessagePageTests(ChromiumFixture chromium) : EdgeSiteTest(chromium)
{
    public static TheoryData<string> HostileMessages =>
    [
        "<script>window.isHarmed = true; alert(1)</script>",
        "<img src=x onerror=\"window.isHarmed = true\">",
        "</blockquote></textarea><script>window.isHarmed = true</script>",
        "\"><svg onload='window.isHarmed = true'>",
        "<iframe srcdoc=\"<script>parent.isHarmed = true</script>\"></iframe>",
        "<style>* { display: none }</style><base href='http://127.0.0.1:9/'><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
        "&lt;b&gt; is not <b>, &amp; is not &",
        "javascript:window.isHarmed=true {{1+1}} ${1+1} <!-- -->]]>",
    ];

    private ILocator Shown => Page.Locator("blockquote");

    [RealPartFact(RealPart.Chromium)]
    public async Task A_message_that_is_pinned_is_seen_by_everybody()
    {
        await PinAsync("Lunch at noon\n  bring a fork – and 🥄");

        (await Shown.InnerTextAsync()).Should().Be("Lunch at noon\n  bring a fork – and 🥄");
        var other = await ArriveAsync();
        await other.GoToAsync("/message");
        (await other.Page.Locator("blockquote").InnerTextAsync()).Should().StartWith("Lunch at noon");
        (await Namespace("MESSAGES_KV").GetTextAsync("pinned")).Should().StartWith("Lunch at noon\n");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task An_empty_message_takes_the_pinned_one_down()
    {
        await PinAsync("");

        (await Page.GetByText("Nothing is pinned.").IsVisibleAsync()).Should().BeTrue();
        (await Shown.CountAsync()).Should().Be(0);
    }

    [RealPartTheory(RealPart.Chromium)]
    [MemberData(nameof(HostileMessages))]
    public async Task A_message_with_markup_and_script_in_it_is_shown_as_it_is_and_never_obeyed(string message)
    {
        await PinAsync(message);

        (await Shown.InnerTextAsync()).Should().Be(message);
        (await Page.GetByLabel("New message").InputValueAsync()).Should().Be(message);
        (await Page.Locator("blockquote *").CountAsync()).Should().Be(0);
        (await Page.EvaluateAsync<bool>("() => 'isHarmed' in window")).Should().BeFalse();
        Page.Url.Should().StartWith(Application.AbsoluteUri);
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task The_longest_message_can_be_typed_and_no_longer_one()
    {
        await Visitor.GoToAsync("/message");
        var field = Page.GetByLabel("New message");
        await field.FillAsync("");
        await field.FocusAsync();
        await Page.Keyboard.InsertTextAsync(string.Concat(Enumerable.Repeat("line\n", 120)));
        (await field.InputValueAsync()).Should().HaveLength(500);

        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Pin it" }));

        (await Shown.InnerTextAsync()).Should().Be(string.Join('\n', Enumerable.Repeat("line", 100)));
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task A_message_can_be_pinned_without_a_mouse()
    {
        await Visitor.GoToAsync("/message");

        await Visitor.TabToAsync(Page.GetByLabel("New message"));
        await Page.Keyboard.PressAsync("Control+A");
        await Page.Keyboard.TypeAsync("Typed");
        await Visitor.TabToAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Pin it" }));
        await Visitor.PressToLeaveAsync("Enter");

        (await Shown.InnerTextAsync()).Should().Be("Typed");
    }

    [RealPartFact(RealPart.Chromium)]
    public async Task Form_from_before_the_cookies_were_cleared_is_refused_with_what_to_do()
    {
        await Visitor.GoToAsync("/message");
        await Page.Context.ClearCookiesAsync();
        Visitor.Expect("console error: .*400");

        await Page.GetByLabel("New message").FillAsync("too late");
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Pin it" }));

        (await Page.GetByRole(AriaRole.Alert).InnerTextAsync()).Should().Contain("Go back, reload the page and send it again");
        (await Page.GetByRole(AriaRole.Navigation, new() { Name = "Pages" }).IsVisibleAsync()).Should().BeTrue();
        (await Namespace("MESSAGES_KV").GetTextAsync("pinned")).Should().StartWith("Welcome!");
    }

    private async Task PinAsync(string message)
    {
        await Visitor.GoToAsync("/message");
        await Page.GetByLabel("New message").FillAsync(message);
        await Visitor.ClickToLeaveAsync(Page.GetByRole(AriaRole.Button, new() { Name = "Pin it" }));
    }
}
