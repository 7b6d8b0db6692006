using System.Net;

namespace KvStore.Dashboard.Tests;

public sealed class NamespacesPageTests : DashboardTest
{
    private readonly KvNamespace _inCode = KvNamespace.Create("IN_CODE");

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _inCode.DisposeAsync();
    }

    protected override IEnumerable<IKvNamespace> Registered() => [_inCode];

    [Fact]
    public async Task Namespaces_are_shown_with_their_entries_and_bytes()
    {
        for (var i = 0; i < 1234; i++)
        {
            await Kv.PutAsync($"k{i}", "v");
        }

        var page = await Browser.GetAsync("");

        page.Main.Should().MatchRegex($"ns/{Entry.Id}\">tested</a></th>\\s*<td class=\"num\">1,234</td>\\s*<td class=\"num\">[0-9.]+ [KM]iB</td>");
        page.Main.Should().Contain(">IN_CODE</a> <span class=\"tag\">in code</span>").And.Contain("healthy");
    }

    [Fact]
    public async Task Namespace_is_created_renamed_and_deleted()
    {
        var created = await Browser.PostAsync("/create", ("title", "of the café"));
        created.Status.Should().Be(HttpStatusCode.SeeOther);
        var entry = Catalog.FindByIdOrTitle("of the café")!;
        created.Location.Should().Be($"/dashboard/ns/{entry.Id}?done=created");
        (await Browser.GetAsync($"/ns/{entry.Id}?done=created")).Main.Should().Contain("role=\"status\">The namespace was created.");

        (await Browser.PostAsync($"/ns/{entry.Id}/rename", ("title", "renamed"))).Status.Should().Be(HttpStatusCode.SeeOther);
        Catalog.Find(entry.Id)!.Title.Should().Be("renamed");

        var refused = await Browser.PostAsync($"/ns/{entry.Id}/delete", ("confirm", "of the café"));
        refused.Status.Should().Be(HttpStatusCode.BadRequest);
        refused.Alert.Should().Contain("Nothing was deleted");
        Catalog.Find(entry.Id).Should().NotBeNull();

        (await Browser.PostAsync($"/ns/{entry.Id}/delete", ("confirm", "renamed"))).Location.Should().Be("/dashboard?done=deleted");
        Catalog.Find(entry.Id).Should().BeNull();
        (await Browser.GetAsync($"/ns/{entry.Id}")).Status.Should().Be(HttpStatusCode.NotFound);
    }

    [Theory]
    [InlineData("", "must not be empty")]
    [InlineData("   ", "must not be empty")]
    [InlineData("tested", "already exists")]
    [InlineData("IN_CODE", "already exists")]
    [InlineData("a\nb", "control characters")]
    [InlineData("00000000000000000000000000000000", "look like the id")]
    public async Task A_title_that_is_not_allowed_is_refused_beside_the_field_and_stays_typed(string title, string message)
    {
        foreach (var path in new[] { "/create", $"{Ns}/rename" }.Where(path => !(title == "tested" && path.EndsWith("rename"))))
        {
            var page = await Browser.PostAsync(path, ("title", title));

            page.Status.Should().Be(HttpStatusCode.BadRequest);
            page.Alert.Should().Contain(message);
            page.Main.Should().MatchRegex("<input type=\"text\" id=\"title\"[^>]* aria-describedby=\"title-error title-hint\" aria-invalid=\"true\"");
            page.Field("title").Should().Be(title);
        }

        Catalog.Entries.Should().HaveCount(2);
        Entry.Title.Should().Be("tested");
    }

    [Theory]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("../../etc/passwd")]
    [InlineData("\"><img src=x onerror=alert(1)>")]
    [InlineData("\u202Edcba")]
    public async Task A_title_is_text_and_neither_markup_nor_a_path(string title)
    {
        await Browser.PostAsync("/create", ("title", title));
        var entry = Catalog.FindByIdOrTitle(title)!;
        await entry.Namespace.PutAsync("k", "v");

        foreach (var path in new[] { "", "/live", $"/live?ns={entry.Id}", $"/ns/{entry.Id}", $"/ns/{entry.Id}/entry?key=k", $"/ns/{entry.Id}/settings", $"/ns/{entry.Id}/transfer" })
        {
            HostileText.MustNotBeMarkup((await Browser.GetAsync(path)).Text);
        }

        (await Browser.GetAsync($"/ns/{entry.Id}/export")).Headers["Content-Disposition"].Should().MatchRegex("^attachment; filename=\"[0-9A-Za-z_][0-9A-Za-z_.-]*\\.json\"$");
        (await Browser.PostAsync($"/ns/{entry.Id}/delete", ("confirm", title))).Status.Should().Be(HttpStatusCode.SeeOther);
    }

    [Fact]
    public async Task Namespace_registered_in_code_cannot_be_deleted()
    {
        var id = Catalog.FindByIdOrTitle("IN_CODE")!.Id;

        (await Browser.GetAsync($"/ns/{id}/settings")).Main.Should().Contain("registered in code").And.NotContain("<form method=\"post\"");
        (await Browser.PostAsync($"/ns/{id}/rename", ("title", "other"))).Status.Should().Be(HttpStatusCode.Forbidden);
        (await Browser.PostAsync($"/ns/{id}/delete", ("confirm", "IN_CODE"))).Status.Should().Be(HttpStatusCode.Forbidden);

        Catalog.Find(id)!.Title.Should().Be("IN_CODE");
    }

    [Fact]
    public async Task A_form_that_is_too_long_is_refused_before_it_is_read()
    {
        var page = await Browser.PostAsync("/create", ("title", new string('t', 70_000)));

        page.Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        Catalog.Entries.Should().HaveCount(2);
    }
}
