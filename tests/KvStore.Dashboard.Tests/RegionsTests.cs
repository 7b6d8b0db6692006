using System.Net;

namespace KvStore.Dashboard.Tests;

public sealed class RegionsTests : DashboardTest
{
    private readonly KvNamespace _kv;

    public RegionsTests() => _kv = KvNamespace.Create("REGIONS", new KvNamespaceOptions
    {
        TimeProvider = Time,
        Replication = new KvReplicationOptions { Regions = ["jnb", "lhr", "<sfo>"], HomeRegion = "jnb", Lag = KvLag.Fixed(TimeSpan.FromSeconds(30)), EdgeCache = new KvEdgeCacheOptions() },
    });

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _kv.DisposeAsync();
    }

    protected override IEnumerable<IKvNamespace> Registered() => [_kv];

    [Fact]
    public async Task A_key_is_shown_as_each_region_sees_it()
    {
        await _kv.PutAsync("k", "old");
        Time.Advance(TimeSpan.FromSeconds(31));
        await _kv.PutAsync("k", "new");

        var page = await PageAsync();
        Row(page, "jnb").Should().Contain("home").And.Contain(">new<");
        Row(page, "lhr").Should().Contain("differs from home").And.Contain(">old<").And.Contain("<td class=\"num\">1</td>");
        Row(page, "&lt;sfo&gt;").Should().Contain("differs from home");

        Time.Advance(TimeSpan.FromSeconds(31));
        page = await PageAsync();
        Row(page, "lhr").Should().Contain("same as home").And.Contain(">new<").And.Contain("<td class=\"num\">0</td>");
    }

    [Fact]
    public async Task Missing_key_in_a_region_and_a_region_that_is_cut_off_are_shown()
    {
        _kv.Replication!.Partition("lhr");
        await _kv.PutAsync("k", "v");
        Time.Advance(TimeSpan.FromSeconds(31));

        var page = await PageAsync();

        Row(page, "lhr").Should().Contain("not there").And.Contain("no entry").And.Contain("cut off");
        Row(page, "&lt;sfo&gt;").Should().Contain("same as home");
    }

    [Fact]
    public async Task Pending_replication_is_shown_for_the_namespace_and_each_region()
    {
        await _kv.PutAsync("a", "v");
        await _kv.PutAsync("b", "v");
        _kv.Replication!.Pause();

        var main = (await Browser.GetAsync($"/ns/{Id}")).Main;

        main.Should().Contain("<dd>4 mutations <span class=\"state warn\">paused</span></dd>").And.Contain("<dt>lhr</dt><dd>2 pending</dd>").And.Contain("<dt>jnb (home)</dt><dd>0 pending</dd>");
        (await Browser.GetAsync("")).Main.Should().Contain("<td class=\"num\">4</td>");
        HostileText.MustNotBeMarkup(main);
    }

    [Fact]
    public async Task Looking_leaves_what_a_region_has_cached_as_it_is()
    {
        var lhr = _kv.InRegion("lhr");
        await _kv.PutAsync("k", "old");
        Time.Advance(TimeSpan.FromSeconds(31));
        (await lhr.GetTextAsync("k")).Should().Be("old");
        await _kv.PutAsync("k", "new");
        Time.Advance(TimeSpan.FromSeconds(31));

        Row(await PageAsync(), "lhr").Should().Contain("differs from home").And.Contain(">old<").And.Contain("cached");

        Time.Advance(TimeSpan.FromSeconds(40));
        Row(await PageAsync(), "lhr").Should().Contain("same as home").And.NotContain("cached");
        (await lhr.GetAsync("k")).CacheStatus.Should().NotBe("HIT", "the page must not have filled the cache");
        await _kv.PutAsync("never-read", "v");
        await Browser.GetAsync($"/ns/{Id}/entry?key=never-read");
        Time.Advance(TimeSpan.FromSeconds(31));
        (await lhr.GetTextAsync("never-read")).Should().Be("v", "that it was not there was not cached by looking");
    }

    [Fact]
    public async Task A_namespace_without_regions_shows_none()
    {
        await Kv.PutAsync("k", "v");

        (await Browser.GetAsync(EntryPath("k"))).Main.Should().NotContain("In the regions");
        (await Browser.GetAsync(Ns)).Main.Should().NotContain("pending");
    }

    [Fact]
    public async Task Saved_value_is_shown_at_once_although_the_home_region_caches()
    {
        await _kv.PutAsync("k", "old");
        await _kv.GetAsync("k");
        await _kv.ListAsync();
        var form = await Browser.GetAsync($"/ns/{Id}/edit?key=k");

        (await Browser.PostPartsAsync($"/ns/{Id}/edit?key=k", null, ("stamp", form.Field("stamp")), ("value", "saved"), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.SeeOther);

        (await PageAsync()).Main.Should().Contain("saved");
    }

    private string Id => Catalog.FindByIdOrTitle("REGIONS")!.Id;

    private static string Row(DashboardClient.Page page, string region)
    {
        var main = page.Main;
        var at = main.IndexOf($"<th scope=\"row\">{region}", StringComparison.Ordinal);
        at.Should().BePositive($"there must be a row of {region}");
        return main[at..main.IndexOf("</tr>", at, StringComparison.Ordinal)];
    }

    private Task<DashboardClient.Page> PageAsync() => Browser.GetAsync($"/ns/{Id}/entry?key=k");
}
