using System.Net;
using System.Net.Sockets;
using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Dashboard.Tests;

public sealed class EditPageTests : DashboardTest
{
    protected override KvCatalogOptions Options() => new() { TimeProvider = Time, Limits = new KvLimits { ValueBytesMax = 300_000 } };

    [Fact]
    public async Task An_entry_is_edited_and_given_metadata_and_a_time_to_live()
    {
        await Kv.PutAsync("k", "old", new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
        var form = await Browser.GetAsync(EditPath("k"));
        form.Area("value").Should().Be("old");
        form.Area("metadata").Should().Be("1");

        var saved = await Browser.PostPartsAsync(
            EditPath("k"), null, ("stamp", form.Field("stamp")), ("value", "new"), ("metadata", """{ "by": [ "ada" ] }"""), ("expiry", "ttl"), ("ttl", "2"), ("unit", "3600"));

        saved.Status.Should().Be(HttpStatusCode.SeeOther);
        saved.Location.Should().Be($"/dashboard{Ns}/entry?key=k&done=saved");
        var entry = await Kv.GetAsync("k");
        entry.GetText().Should().Be("new");
        entry.Metadata.ToString().Should().Be("""{"by":["ada"]}""");
        entry.Expiration.Should().Be(Time.GetUtcNow().AddHours(2));
    }

    [Theory]
    [InlineData("keep", "", 600)]
    [InlineData("never", "", null)]
    [InlineData("at", "2023-11-14T23:13:20", 3600)]
    [InlineData("at", "2023-11-14T23:13", 3580)]
    public async Task An_expiration_is_kept_or_changed_as_chosen(string expiry, string at, int? seconds)
    {
        await Kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(10) });
        var form = await Browser.GetAsync(EditPath("k"));
        form.Main.Should().Contain("value=\"keep\" checked");

        (await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", form.Field("stamp")), ("value", "v"), ("expiry", expiry), ("at", at))).Status.Should().Be(HttpStatusCode.SeeOther);

        (await Kv.GetAsync("k")).Expiration.Should().Be(seconds is { } s ? Time.GetUtcNow().AddSeconds(s) : null);
    }

    [Theory]
    [InlineData("metadata", "{bad", "not one JSON value")]
    [InlineData("metadata", "unquoted", "needs quotes")]
    [InlineData("metadata", "1 2", "not one JSON value")]
    [InlineData("ttl", "59", "at least 60")]
    [InlineData("ttl", "0", "greater than 0")]
    [InlineData("ttl", "-5", "greater than 0")]
    [InlineData("ttl", "soon", "whole number")]
    [InlineData("ttl", "99999999999999999999", "whole number")]
    [InlineData("ttl", "9223372036854775807", "whole number")]
    [InlineData("ttl", "-9223372036854775808", "whole number")]
    [InlineData("ttl", "2147483648", "whole number")]
    [InlineData("at", "2023-11-14T22:13:30", "at least 60 seconds in the future")]
    [InlineData("at", "2001-01-01T00:00", "greater than the current")]
    [InlineData("at", "tomorrow", "2030-12-31T23:59")]
    [InlineData("at", "9999-12-31T23:59", "2106-02-07T06:28:15")]
    [InlineData("expiry", "sometimes", "Choose")]
    [InlineData("unit", "7", "whole number")]
    public async Task Wrong_field_shows_its_error_keeps_the_typed_input_and_changes_nothing(string field, string typed, string message)
    {
        await Kv.PutAsync("k", "old", new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
        var fields = new Dictionary<string, string>
        {
            ["stamp"] = (await Browser.GetAsync(EditPath("k"))).Field("stamp"),
            ["value"] = "typed & kept",
            ["metadata"] = "\"m\"",
            ["expiry"] = field is "at" ? "at" : "ttl",
            ["ttl"] = "600",
            ["unit"] = "1",
            ["at"] = "",
        };
        fields[field] = typed;

        var page = await Browser.PostPartsAsync(EditPath("k"), null, [.. fields.Select(f => (f.Key, f.Value))]);

        page.Status.Should().Be(HttpStatusCode.BadRequest);
        page.Alert.Should().Contain(message);
        var id = field == "metadata" ? "metadata" : "expiry";
        page.Main.Should().Contain($"id=\"{id}-error\"").And.MatchRegex($"aria-describedby=\"{id}-error {id}-hint\" aria-invalid=\"true\"");
        page.Area("value").Should().Be("typed & kept");
        page.Area("metadata").Should().Be(fields["metadata"]);
        if (field is "ttl" or "at")
        {
            page.Main.Should().Contain($"value=\"{typed}\"");
        }

        var entry = await Kv.GetAsync("k");
        entry.GetText().Should().Be("old");
        entry.Metadata.ToString().Should().Be("1");
        entry.Expiration.Should().BeNull();
    }

    [Fact]
    public async Task All_errors_of_a_form_are_shown_at_once()
    {
        var page = await Browser.PostPartsAsync(Ns + "/new", null, ("stamp", "absent"), ("key", "k"), ("value", new string('v', 300_001)), ("metadata", "{"), ("expiry", "ttl"), ("ttl", "x"));

        page.Alert.Split('\n').Should().HaveCount(3);
        page.Area("value").Should().HaveLength(300_001);
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Metadata_that_is_too_long_is_refused_beside_its_field()
    {
        var page = await Browser.PostPartsAsync(Ns + "/new", null, ("stamp", "absent"), ("key", "k"), ("value", "v"), ("metadata", $"\"{new string('m', 1023)}\""), ("expiry", "never"));

        page.Status.Should().Be(HttpStatusCode.BadRequest);
        page.Alert.Should().Contain("1025").And.Contain("1024");
        page.Main.Should().Contain("id=\"metadata-error\"");
    }

    [Fact]
    public async Task Too_long_text_and_too_long_file_are_refused_and_change_nothing()
    {
        await Kv.PutAsync("k", "old");
        var stamp = (await Browser.GetAsync(EditPath("k"))).Field("stamp");

        (await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", stamp), ("value", new string('v', 1_100_000)), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        (await Browser.PostPartsAsync(EditPath("k"), new byte[300_001], ("stamp", stamp), ("value", ""), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        (await Browser.PostPartsAsync(EditPath("k"), new byte[3_000_000], ("stamp", stamp), ("value", ""), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);

        (await Kv.GetTextAsync("k")).Should().Be("old");
        (await Browser.PostPartsAsync(EditPath("k"), new byte[300_000], ("stamp", stamp), ("value", ""), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.SeeOther);
        (await Kv.GetAsync("k")).Length.Should().Be(300_000);
    }

    [Fact]
    public async Task Concurrent_edit_by_somebody_else_is_not_overwritten_unseen()
    {
        await Kv.PutAsync("k", "first");
        var form = await Browser.GetAsync(EditPath("k"));
        await Kv.PutAsync("k", "by somebody else");

        var refused = await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", form.Field("stamp")), ("value", "mine"), ("metadata", "5"), ("expiry", "never"));

        refused.Status.Should().Be(HttpStatusCode.Conflict);
        refused.Alert.Should().Contain("Somebody has changed this entry");
        refused.Area("value").Should().Be("mine");
        (await Kv.GetTextAsync("k")).Should().Be("by somebody else");

        (await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", refused.Field("stamp")), ("value", "mine"), ("metadata", "5"), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.SeeOther);
        (await Kv.GetTextAsync("k")).Should().Be("mine");
    }

    [Theory]
    [InlineData("value")]
    [InlineData("metadata")]
    [InlineData("expiration")]
    [InlineData("gone")]
    public async Task Any_part_of_an_entry_that_has_changed_is_a_change(string part)
    {
        await Kv.PutAsync("k", "v");
        var stamp = (await Browser.GetAsync(EditPath("k"))).Field("stamp");
        if (part == "gone")
        {
            await Kv.DeleteAsync("k");
        }
        else
        {
            await Kv.PutAsync("k", part == "value" ? "w" : "v", new KvPutOptions
            {
                Metadata = part == "metadata" ? KvMetadata.FromJson("0") : default,
                ExpirationTtl = part == "expiration" ? TimeSpan.FromHours(1) : null,
            });
        }

        (await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", stamp), ("value", "mine"), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.Conflict);
        (await Browser.PostPartsAsync(EditPath("k"), null, ("value", "mine"), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.Conflict, "a form without a stamp has seen nothing");
        (await Kv.GetTextAsync("k")).Should().NotBe("mine");
    }

    [Fact]
    public async Task Saves_and_the_applications_own_writes_lose_none_of_each_other()
    {
        const int Saves = 15;
        const int Increments = 3000;
        await Kv.PutAsync("k", "0");

        var application = Task.Run(async () =>
        {
            for (var i = 0; i < Increments; i++)
            {
                await Kv.IncrementAsync("k");
                if (i % 10 == 0)
                {
                    await Task.Yield();
                }
            }
        });
        var saved = 0;
        for (var i = 0; i < Saves; i++)
        {
            var form = await Browser.GetAsync(EditPath("k"));
            var next = int.Parse(form.Area("value"), System.Globalization.CultureInfo.InvariantCulture) + 1;
            var answer = await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", form.Field("stamp")), ("value", $"{next}"), ("expiry", "never"));
            saved += answer.Status == HttpStatusCode.SeeOther ? 1 : 0;
        }

        await application;

        (await Kv.GetTextAsync("k")).Should().Be($"{Increments + saved}");
    }

    [Fact]
    public async Task Same_content_written_again_is_a_change_that_is_seen()
    {
        await Kv.PutAsync("k", "v");
        var form = await Browser.GetAsync(EditPath("k"));
        await Kv.PutAsync("k", "v");

        (await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", form.Field("stamp")), ("value", "mine"), ("expiry", "never"))).Status.Should().Be(HttpStatusCode.Conflict);
    }

    [Fact]
    public async Task Of_many_simultaneous_saves_one_wins_and_the_others_see_a_conflict()
    {
        await Kv.PutAsync("k", "0");
        var stamp = (await Browser.GetAsync(EditPath("k"))).Field("stamp");

        var saved = await Task.WhenAll(Enumerable.Range(1, 16).Select(i => Browser.PostPartsAsync(EditPath("k"), null, ("stamp", stamp), ("value", $"{i}"), ("expiry", "never"))));

        saved.Count(page => page.Status == HttpStatusCode.SeeOther).Should().Be(1);
        saved.Count(page => page.Status == HttpStatusCode.Conflict).Should().Be(15);
        (await Kv.GetTextAsync("k")).Should().Be($"{Array.FindIndex(saved, page => page.Status == HttpStatusCode.SeeOther) + 1}");
    }

    [Fact]
    public async Task A_new_entry_does_not_overwrite_one_that_is_there()
    {
        (await Browser.PostPartsAsync(Ns + "/new", null, ("stamp", "absent"), ("key", "dir/n e+w%"), ("value", "first"), ("expiry", "never"))).Location.Should().Be($"/dashboard{Ns}/entry?key=dir%2Fn%20e%2Bw%25&done=saved");
        (await Kv.GetTextAsync("dir/n e+w%")).Should().Be("first");

        var refused = await Browser.PostPartsAsync(Ns + "/new", null, ("stamp", "absent"), ("key", "dir/n e+w%"), ("value", "second"), ("expiry", "never"));

        refused.Status.Should().Be(HttpStatusCode.Conflict);
        refused.Alert.Should().Contain("already");
        (await Kv.GetTextAsync("dir/n e+w%")).Should().Be("first");
    }

    [Theory]
    [InlineData("", "cannot be empty")]
    [InlineData("..", "not allowed")]
    [InlineData(".", "not allowed")]
    public async Task A_key_that_cannot_be_is_refused_beside_its_field(string key, string message)
    {
        var page = await Browser.PostPartsAsync(Ns + "/new", null, ("stamp", "absent"), ("key", key), ("value", "typed"), ("expiry", "never"));

        page.Status.Should().Be(HttpStatusCode.BadRequest);
        page.Alert.Should().Contain(message);
        page.Main.Should().Contain("id=\"key-error\"");
        page.Area("value").Should().Be("typed");
        Kv.Count.Should().Be(0);
    }

    [Fact]
    public async Task A_key_that_is_too_long_is_refused_beside_its_field()
    {
        var page = await Browser.PostPartsAsync(Ns + "/new", null, ("stamp", "absent"), ("key", new string('é', 257)), ("value", "typed"), ("expiry", "never"));

        page.Status.Should().Be(HttpStatusCode.BadRequest);
        page.Alert.Should().Contain("514").And.Contain("512");
    }

    [Fact]
    public void Text_saved_unchanged_in_the_editor_keeps_its_bytes()
    {
        var texts = Gen.Elements("a", "\n", "\r\n", "\r", "\t", " ", "<", "&amp;", "\"", "é", "\U0001F600", "\uFEFF", "\0", "\u0085", "\uFFFE", "\u2028", "</textarea>").ListOf().Select(parts => string.Concat(parts.Take(12)));
        var offered = 0;
        Prop.ForAll(texts.ToArbitrary(), text => OffersAsync(text).Result.Should().Be(text)).QuickCheckThrowOnFailure();
        offered.Should().BePositive();

        async Task<string> OffersAsync(string text)
        {
            await Kv.PutAsync("k", text);
            var form = await Browser.GetAsync(EditPath("k"));
            if (!form.Main.Contains("<textarea id=\"value\""))
            {
                // Then saving leaves the value alone.
                await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", form.Field("stamp")), ("metadata", "1"), ("expiry", "never"));
                return Encoding.UTF8.GetString((await Kv.GetBytesAsync("k"))!.Value.Span);
            }

            offered++;

            // As browsers do: line breaks become LF when the page is read, and CR LF when the form is sent.
            var sent = form.Area("value").Replace("\r\n", "\n").Replace("\r", "\n").Replace("\n", "\r\n");
            await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", form.Field("stamp")), ("newline", form.Field("newline")), ("value", sent), ("expiry", "never"));
            return Encoding.UTF8.GetString((await Kv.GetBytesAsync("k"))!.Value.Span);
        }
    }

    [Fact]
    public async Task Bytes_that_are_not_text_can_only_be_replaced_by_a_file_or_kept()
    {
        byte[] bytes = [0xFF, 0, 0x80];
        await Kv.PutAsync("k", bytes);
        var form = await Browser.GetAsync(EditPath("k"));
        form.Main.Should().NotContain("<textarea id=\"value\"").And.Contain("would be damaged");

        await Browser.PostPartsAsync(EditPath("k"), null, ("stamp", form.Field("stamp")), ("metadata", "7"), ("expiry", "never"));
        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(bytes);
        (await Kv.GetAsync("k")).Metadata.ToString().Should().Be("7");

        byte[] other = [1, 0xFE];
        await Browser.PostPartsAsync(EditPath("k"), other, ("stamp", (await Browser.GetAsync(EditPath("k"))).Field("stamp")), ("metadata", "7"), ("expiry", "never"));
        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(other);
    }

    [Fact]
    public async Task An_upload_that_breaks_off_changes_nothing()
    {
        await Kv.PutAsync("k", "old");
        var stamp = (await Browser.GetAsync(EditPath("k"))).Field("stamp");
        var token = await Browser.TokenAsync();
        var whole = await DashboardClient.Parts(token, new byte[100_000], ("stamp", stamp), ("expiry", "never")).ReadAsByteArrayAsync();
        foreach (var length in new[] { 0, 50, 400, 1000, 50_000, whole.Length - 30 })
        {
            var content = new ByteArrayContent(whole[..length]);
            content.Headers.TryAddWithoutValidation("Content-Type", $"multipart/form-data; boundary=\"{Encoding.ASCII.GetString(whole, 2, 36)}\"");

            (await Browser.PostContentAsync(EditPath("k"), content)).Status.Should().Be(HttpStatusCode.BadRequest, $"it ends after {length} of {whole.Length} bytes");
        }

        using (var socket = new TcpClient("127.0.0.1", new Uri(Host.Url).Port))
        {
            await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /dashboard{EditPath("k")} HTTP/1.1\r\nHost: x\r\nX-User: owner\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000\r\n\r\n--b\r\n"));
        }

        (await Kv.GetTextAsync("k")).Should().Be("old");
    }

    [Theory]
    [InlineData("multipart/form-data")]
    [InlineData("multipart/form-data; boundary=")]
    [InlineData("text/html")]
    [InlineData("nonsense")]
    public async Task A_body_that_is_no_form_is_refused(string type)
    {
        var content = new ByteArrayContent("x"u8.ToArray());
        content.Headers.TryAddWithoutValidation("Content-Type", type);

        (await Browser.PostContentAsync(EditPath("k"), content, ("RequestVerificationToken", await Browser.TokenAsync()))).Status.Should().Be(HttpStatusCode.BadRequest);
    }
}
