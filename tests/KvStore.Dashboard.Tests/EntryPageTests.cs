using System.Net;
using System.Text;

namespace KvStore.Dashboard.Tests;

public sealed class EntryPageTests : DashboardTest, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-dashboard-").FullName;

    public static TheoryData<string> Hostile => HostileText.All;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    protected override KvCatalogOptions Options() => new() { TimeProvider = Time, Directory = _directory };

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task A_value_and_its_metadata_are_shown_and_never_obeyed_in_every_view(string value)
    {
        await Kv.PutAsync("k", value, new KvPutOptions { Metadata = KvMetadata.From(value) });
        await Kv.PutJsonAsync("json", new Dictionary<string, string> { [value] = value });

        foreach (var path in new[] { EntryPath("k"), EntryPath("k") + "&view=text", EntryPath("k") + "&view=hex", EntryPath("json"), EntryPath("json") + "&view=json", EditPath("k"), EditPath("json") })
        {
            var page = await Browser.GetAsync(path);

            page.Status.Should().Be(HttpStatusCode.OK);
            HostileText.MustNotBeMarkup(page.Text);
        }
    }

    [Fact]
    public async Task Json_is_indented_and_keeps_every_digit_and_escape()
    {
        await Kv.PutAsync("k", """{"b":[1.50,9007199254740993,{}],"a":"\u00e9\/","n":null,"e":[]}""");

        var main = (await Browser.GetAsync(EntryPath("k"))).Main;

        var text = WebUtility.HtmlDecode(System.Text.RegularExpressions.Regex.Replace(main[main.IndexOf("<pre class=\"json\"", StringComparison.Ordinal)..main.IndexOf("</pre>", StringComparison.Ordinal)], "<[^>]+>", ""));
        text.Trim().Should().Be("""
            {
              "b": [
                1.50,
                9007199254740993,
                {}
              ],
              "a": "\u00e9\/",
              "n": null,
              "e": []
            }
            """.ReplaceLineEndings("\n"));
    }

    [Theory]
    [InlineData("{\"a\":1}", null, "json")]
    [InlineData("[1]", null, "json")]
    [InlineData("{\"a\":", null, "text")]
    [InlineData("plain", null, "text")]
    [InlineData("plain", "hex", "hex")]
    [InlineData("42", "json", "json")]
    public async Task Value_is_shown_in_the_view_that_suits_it_or_in_the_requested_one(string value, string? view, string shown)
    {
        await Kv.PutAsync("k", value);

        (await Browser.GetAsync($"{EntryPath("k")}&view={view}")).Main.Should().Contain($"<pre class=\"{shown}\"");
    }

    [Fact]
    public async Task Bytes_are_shown_with_their_offsets_and_letters()
    {
        byte[] bytes = [0, 255, .. "hex <b>"u8, .. Enumerable.Range(0x30, 20).Select(b => (byte)b)];
        await Kv.PutAsync("k", bytes);

        var main = WebUtility.HtmlDecode((await Browser.GetAsync(EntryPath("k"))).Main);

        main.Should().Contain("00000000  00 ff 68 65 78 20 3c 62  3e 30 31 32 33 34 35 36  |..hex <b>0123456|\n")
            .And.Contain("00000010  37 38 39 3a 3b 3c 3d 3e  3f 40 41 42 43           |789:;<=>?@ABC|\n");
        (await Browser.GetAsync(EntryPath("k") + "&view=text")).Main.Should().Contain("not text in UTF-8");
        (await Browser.GetAsync(EntryPath("k") + "&view=json")).Main.Should().Contain("not JSON");
    }

    [Fact]
    public async Task Json_that_is_nested_deeply_does_not_make_a_long_page()
    {
        await Kv.PutAsync("k", string.Concat(Enumerable.Repeat("[", 900)) + string.Join(',', Enumerable.Repeat("1", 20_000)) + string.Concat(Enumerable.Repeat("]", 900)));
        await Kv.PutAsync("deeper", new string('[', 5000) + new string(']', 5000));

        (await Browser.GetAsync(EntryPath("k"))).Body.Length.Should().BeLessThan(4_000_000);
        (await Browser.GetAsync(EntryPath("deeper"))).Status.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Of_a_large_value_the_beginning_is_shown_and_the_rest_is_never_in_memory()
    {
        var large = new byte[25 * 1024 * 1024];
        Array.Fill(large, (byte)'x');
        "é"u8.CopyTo(large.AsSpan(65_535));
        await Kv.PutAsync("k", new MemoryStream(large));
        (await Kv.GetAsync("k")).IsLarge.Should().BeTrue();
        var page = await Browser.GetAsync(EntryPath("k"));
        var least = long.MaxValue;
        for (var i = 0; i < 20 && least >= large.Length; i++)
        {
            // Other tests allocate as well, but if this did, it would every time.
            var before = GC.GetTotalAllocatedBytes(precise: true);
            page = await Browser.GetAsync(EntryPath("k"));
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        least.Should().BeLessThan(large.Length, "neither showing nor hashing it reads it as a whole");
        page.Main.Should().Contain("<pre class=\"text\"").And.Contain("the first 65,536 of 26,214,400 bytes").And.Contain("25.0 MiB in a file");
        page.Body.Length.Should().BeLessThan(80_000);
        (await Browser.GetAsync(EntryPath("k") + "&view=json")).Main.Should().Contain("too long to be shown as JSON");
        var download = await Browser.GetAsync($"{Ns}/value?key=k");
        download.Body.AsSpan().SequenceEqual(large).Should().BeTrue();
    }

    [Theory]
    [InlineData("plain", "plain.bin")]
    [InlineData("a/b.png", "a_b.png")]
    [InlineData("../../etc/passwd", "etc_passwd.bin")]
    [InlineData("x\r\nSet-Cookie: a=b", "x__Set-Cookie__a_b.bin")]
    [InlineData("\"; filename=evil.html", "filename_evil.html")]
    [InlineData("é", "value.bin")]
    public async Task A_download_is_bytes_to_be_saved_and_nothing_else(string key, string name)
    {
        await Kv.PutAsync(key, "<script>alert(1)</script>");

        var download = await Browser.GetAsync($"{Ns}/value?key={Escape(key)}");

        download.Text.Should().Be("<script>alert(1)</script>");
        download.Headers["Content-Type"].Should().Be("application/octet-stream");
        download.Headers["Content-Disposition"].Should().Be($"attachment; filename=\"{name}\"");
        download.Headers["X-Content-Type-Options"].Should().Be("nosniff");
        download.Headers.Should().NotContainKey("Set-Cookie");
    }

    [Theory]
    [InlineData("entry?key=missing", HttpStatusCode.NotFound)]
    [InlineData("value?key=missing", HttpStatusCode.NotFound)]
    [InlineData("entry", HttpStatusCode.BadRequest)]
    [InlineData("entry?key=", HttpStatusCode.BadRequest)]
    [InlineData("entry?key=..", HttpStatusCode.BadRequest)]
    [InlineData("value?key=.", HttpStatusCode.BadRequest)]
    [InlineData("edit?key=..", HttpStatusCode.BadRequest)]
    public async Task Missing_and_impossible_keys_are_reported(string path, HttpStatusCode status)
    {
        var page = await Browser.GetAsync($"{Ns}/{path}");

        page.Status.Should().Be(status);
        page.Text.Should().StartWith("<!DOCTYPE html>");
    }

    [Fact]
    public async Task A_key_that_is_too_long_is_refused_on_every_page()
    {
        foreach (var page in new[] { "entry", "edit", "value" })
        {
            (await Browser.GetAsync($"{Ns}/{page}?key={new string('k', 513)}")).Status.Should().Be(HttpStatusCode.RequestUriTooLong, page);
        }
    }

    [Fact]
    public async Task An_entry_is_deleted_unless_it_has_changed_since_it_was_looked_at()
    {
        await Kv.PutAsync("k", "old");
        var seen = (await Browser.GetAsync(EntryPath("k"))).Field("stamp");
        await Kv.PutAsync("k", "new");

        var refused = await Browser.PostAsync($"{Ns}/entry/delete?key=k", ("stamp", seen));
        refused.Status.Should().Be(HttpStatusCode.Conflict);
        refused.Alert.Should().Contain("was not deleted");
        refused.Main.Should().Contain("new");
        (await Kv.GetTextAsync("k")).Should().Be("new");

        (await Browser.PostAsync($"{Ns}/entry/delete?key=k", ("stamp", refused.Field("stamp")))).Location.Should().Be($"/dashboard{Ns}?done=deleted");
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
        (await Browser.PostAsync($"{Ns}/entry/delete?key=k", ("stamp", seen))).Status.Should().Be(HttpStatusCode.Conflict);
    }
}
