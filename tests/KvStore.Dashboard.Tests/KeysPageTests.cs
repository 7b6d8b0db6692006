using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using KvStore.Rules;

namespace KvStore.Dashboard.Tests;

public sealed class KeysPageTests : DashboardTest
{
    public static TheoryData<string> Hostile => HostileText.All;

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task A_key_is_shown_and_never_obeyed_and_its_link_leads_to_it(string key)
    {
        key = key == ".." ? "x/.." : key;
        await Kv.PutAsync(key, "the value of it", new KvPutOptions { Metadata = KvMetadata.From(key) });

        var page = await Browser.GetAsync($"{Ns}?d=");

        HostileText.MustNotBeMarkup(page.Text);
        var link = page.Links.Single(link => link.Contains("/entry?key="));
        var entry = await Browser.GetAsync(link["/dashboard".Length..]);
        entry.Status.Should().Be(HttpStatusCode.OK);
        entry.Text.Should().Contain("the value of it");
        HostileText.MustNotBeMarkup(entry.Text);
    }

    [Fact]
    public async Task Invisible_characters_are_shown()
    {
        await Kv.PutAsync("a\0b\u202Ec ", "v");

        var main = (await Browser.GetAsync(Ns)).Main;

        main.Should().Contain("""a<span class="sign" title="U&#x2B;0000">NUL</span>b<span class="sign" title="U&#x2B;202E">U&#x2B;202E</span>c<span class="sign" title="U&#x2B;0020">SP</span></a>""");
    }

    [Fact]
    public async Task Keys_are_shown_with_their_metadata_and_what_is_left_of_their_time()
    {
        await Kv.PutAsync("a", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(192), Metadata = KvMetadata.FromJson("""{"by":"ada"}""") });
        await Kv.PutAsync("b", "v");

        var main = (await Browser.GetAsync(Ns)).Main;

        main.Should().Contain("{&quot;by&quot;:&quot;ada&quot;}").And.Contain("<time datetime=\"2023-11-15T01:25:20Z\" title=\"2023-11-15T01:25:20Z\">in 3 h 12 min</time>").And.Contain("never");
        Time.Advance(TimeSpan.FromMinutes(191.5));
        (await Browser.GetAsync(Ns)).Main.Should().Contain(">in 30 s</time>");
        Time.Advance(TimeSpan.FromMinutes(1));
        (await Browser.GetAsync(Ns)).Links.Should().NotContain(link => link.EndsWith("key=a"));
    }

    [Fact]
    public async Task Folders_lead_down_and_the_trail_leads_up()
    {
        foreach (var key in new[] { "a", "dir/", "dir/x", "dir/sub/y", "dir:z", "é/1" })
        {
            await Kv.PutAsync(key, "v");
        }

        (await Browser.GetAsync(Ns)).Links.Should().ContainInOrder(
            $"/dashboard{Ns}/entry?key=a", $"/dashboard{Ns}?prefix=dir%2F&d=%2F", $"/dashboard{Ns}/entry?key=dir%3Az", $"/dashboard{Ns}?prefix=%C3%A9%2F&d=%2F");
        var down = await Browser.GetAsync($"{Ns}?prefix=dir%2F&d=%2F");
        down.Links.Should().ContainInOrder(
            $"/dashboard{Ns}?prefix=&d=%2F", $"/dashboard{Ns}?prefix=dir%2F&d=%2F", $"/dashboard{Ns}/entry?key=dir%2F", $"/dashboard{Ns}?prefix=dir%2Fsub%2F&d=%2F", $"/dashboard{Ns}/entry?key=dir%2Fx");
        (await Browser.GetAsync($"{Ns}?d=%3A")).Links.Should().Contain($"/dashboard{Ns}?prefix=dir%3A&d=%3A");
        (await Browser.GetAsync($"{Ns}?d=")).Links.Where(link => link.Contains("/entry?")).Should().HaveCount(6);
    }

    [Fact]
    public async Task Folder_of_a_hundred_thousand_keys_is_one_line_and_can_be_paged_through()
    {
        for (var i = 0; i < 100_000; i++)
        {
            await Kv.PutAsync($"many/{i:000000}", "v");
        }

        await Kv.PutAsync("a-first", "v");
        await Kv.PutAsync("z-last", "v");

        (await Browser.GetAsync(Ns)).Links.Where(link => link.Contains("/entry?") || link.Contains("many")).Should().Equal(
            $"/dashboard{Ns}/entry?key=a-first", $"/dashboard{Ns}?prefix=many%2F&d=%2F", $"/dashboard{Ns}/entry?key=z-last");

        string? path = $"{Ns}?prefix=many%2F&d=%2F&n=1000";
        var seen = new List<string>();
        var pages = new List<string>();
        while (path is not null)
        {
            pages.Add(path);
            var page = await Browser.GetAsync(path);
            seen.AddRange(page.Links.Where(link => link.Contains("/entry?")));
            path = LinkOf(page, "next");
        }

        pages.Should().HaveCount(100);
        seen.Should().HaveCount(100_000).And.BeInAscendingOrder(StringComparer.Ordinal).And.OnlyHaveUniqueItems();

        // Back again, a step at a time: the way is in the address.
        var third = await Browser.GetAsync(pages[3]);
        var back = await Browser.GetAsync(LinkOf(third, "prev")!);
        back.Links.Should().Contain(seen[2000]).And.Contain(seen[2999]).And.NotContain(seen[3000]);
    }

    [Fact]
    public async Task A_folder_whose_name_is_as_long_as_a_key_may_be_is_passed_too()
    {
        var longest = new string('x', 511) + "/";
        await Kv.PutAsync(longest, "v");
        await Kv.PutAsync("y", "v");

        (await Browser.GetAsync($"{Ns}?n=100")).Links.Should().Contain($"/dashboard{Ns}?prefix={Escape(longest)}&d=%2F").And.Contain($"/dashboard{Ns}/entry?key=y");
        var inspector = new KvInspector(Kv);
        inspector.ListFolders("", "/", inspector.ListFolders("", "/", cursor: null, 1).Cursor, 1).Items.Single().Name.Should().Be("y");
    }

    [Theory]
    [InlineData("?cursor=nonsense", HttpStatusCode.BadRequest, "Invalid cursor")]
    [InlineData("?cursor=AAAAAGFi", HttpStatusCode.BadRequest, "Invalid cursor")]
    [InlineData("?n=7", HttpStatusCode.BadRequest, "100, 250, 1000")]
    [InlineData("?n=-1", HttpStatusCode.BadRequest, "100, 250, 1000")]
    [InlineData("?n=99999999999", HttpStatusCode.BadRequest, "100, 250, 1000")]
    [InlineData("?d=123456789", HttpStatusCode.BadRequest, "at most 8")]
    public async Task Impossible_page_parameters_are_refused_with_the_allowed_values(string query, HttpStatusCode status, string message)
    {
        var page = await Browser.GetAsync(Ns + query);

        page.Status.Should().Be(status);
        page.Alert.Should().Contain(message);
    }

    [Fact]
    public async Task A_prefix_that_is_longer_than_any_key_is_refused()
    {
        var page = await Browser.GetAsync($"{Ns}?prefix={new string('p', 513)}");

        page.Status.Should().Be(HttpStatusCode.RequestUriTooLong);
        page.Alert.Should().Contain("512");
    }

    [Fact]
    public async Task Cursor_of_another_namespace_means_an_equal_position()
    {
        await Kv.PutAsync("a", "v");
        await Kv.PutAsync("c", "v");

        (await Browser.GetAsync($"{Ns}?cursor={ListCursor.After(Encoding.UTF8.GetBytes("b"))}")).Links.Should().Contain($"/dashboard{Ns}/entry?key=c").And.NotContain($"/dashboard{Ns}/entry?key=a");
    }

    [Theory]
    [InlineData("/ns/00000000000000000000000000000000")]
    [InlineData("/ns/tested")]
    [InlineData("/ns/%2e%2e%2f%2e%2e%2fcatalog.json")]
    [InlineData("/ns/x/entry?key=k")]
    [InlineData("/live?ns=x")]
    public async Task A_namespace_that_is_not_there_is_not_found(string path) =>
        (await Browser.GetAsync(path)).Status.Should().Be(HttpStatusCode.NotFound);

    [Fact]
    public async Task Looking_does_not_count_as_reading()
    {
        await using var catalog = await KvNamespaceCatalog.OpenAsync();
        var entry = await catalog.CreateAsync("looked-at");
        await entry.Namespace.PutAsync("k", "v");
        await using var host = await DashboardHost.StartAsync(catalog, Time);
        using var browser = new DashboardClient(host.Url);
        long counted = 0;
        using var listener = new System.Diagnostics.Metrics.MeterListener();
        listener.SetMeasurementEventCallback<long>((_, count, tags, _) => Interlocked.Add(ref counted, tags.ToArray().Any(tag => tag.Value as string == "looked-at") ? count : 0));
        listener.EnableMeasurementEvents(KvStore.Diagnostics.KvMetrics.Requests);

        (await browser.GetAsync($"/ns/{entry.Id}")).Text.Should().Contain("key=k");
        (await browser.GetAsync($"/ns/{entry.Id}/entry?key=k")).Status.Should().Be(HttpStatusCode.OK);
        Interlocked.Read(ref counted).Should().Be(0);

        await entry.Namespace.GetAsync("k");
        Interlocked.Read(ref counted).Should().Be(1, "so that it is known that something is counted here");
    }

    private static string? LinkOf(DashboardClient.Page page, string rel) =>
        Regex.Match(page.Text, $"rel=\"{rel}\" href=\"/dashboard([^\"]+)\"") is { Success: true } link ? WebUtility.HtmlDecode(link.Groups[1].Value) : null;
}
