using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Generators.Tests;

/// <summary>The interface that the generator has completed in this project, at work.</summary>
public sealed class TypedNamespaceTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _clock = new();
    private readonly KvNamespace _kv;
    private readonly IFlags _flags;

    public TypedNamespaceTests()
    {
        _kv = KvNamespace.Create("FLAGS", new KvNamespaceOptions { TimeProvider = _clock });
        _flags = IFlags.Create(_kv);
    }

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task Put_with_new_stores_metadata_and_zero_is_a_revision()
    {
        var entry = _flags.Flag("acme", "beta");

        await entry.PutAsync(new(true, []), new("ada", 1));

        (await entry.GetAsync()).Metadata.Should().Be(new FlagInfo("ada", 1));
        await using var changes = entry.WatchAsync(0).GetAsyncEnumerator();
        (await changes.MoveNextAsync()).Should().BeTrue();
        changes.Current.Kind.Should().Be(KvChangeKind.Reset);
    }

    [Fact]
    public async Task Listing_with_every_parameter_shows_that_key_and_no_longer_one()
    {
        await _flags.Flag("acme", "be").PutAsync(new Flag(true, []));
        await _flags.Flag("acme", "beta").PutAsync(new Flag(true, []));

        var names = new List<string>();
        await foreach (var key in _flags.FlagsNamed(name: "be", tenant: "acme").ListAsync())
        {
            names.Add(key.Name);
        }

        names.Should().Equal("flag:acme:be");
    }

    [Fact]
    public async Task Watch_ended_by_a_value_that_does_not_fit_says_after_which_revision_to_go_on()
    {
        await using var changes = _flags.Flags("acme").WatchAsync(KvWatchStart.Current).GetAsyncEnumerator();
        (await changes.MoveNextAsync()).Should().BeTrue();
        changes.Current.Kind.Should().Be(KvChangeKind.Current);
        await _kv.PutAsync("flag:acme:bad", "no flag");
        await _flags.Flag("acme", "good").PutAsync(new Flag(true, []));
        var revision = (await _kv.GetAsync("flag:acme:bad")).Revision;

        var next = () => changes.MoveNextAsync().AsTask();

        (await next.Should().ThrowAsync<System.Text.Json.JsonException>()).WithMessage($"*A watch after revision {revision} goes on behind it.");
        await using var again = _flags.Flags("acme").WatchAsync(revision).GetAsyncEnumerator();
        (await again.MoveNextAsync()).Should().BeTrue();
        again.Current.Name.Should().Be("flag:acme:good");
    }

    [Fact]
    public async Task Entry_is_put_got_and_deleted_with_its_types()
    {
        var entry = _flags.Flag("acme", "beta");
        entry.Key.Should().Be("flag:acme:beta");
        (await entry.GetAsync()).Should().Be(default(KvTypedValue<Flag, FlagInfo>));

        await entry.PutAsync(new Flag(true, ["a"]), new FlagInfo("ada", 2));

        var got = await entry.GetAsync();
        got.Exists.Should().BeTrue();
        got.Value.Should().BeEquivalentTo(new Flag(true, ["a"]));
        got.Metadata.Should().Be(new FlagInfo("ada", 2));
        got.Expiration.Should().Be(_clock.GetUtcNow().AddHours(1));
        (await _kv.GetTextAsync("flag:acme:beta")).Should().Be("""{"enabled":true,"groups":["a"]}""");
        await entry.PutAsync(new Flag(false, []));
        (await entry.GetAsync()).Metadata.Should().BeNull();
        await entry.DeleteAsync();
        (await entry.GetAsync()).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Watch_of_an_entry_shows_its_types_and_goes_on_after_a_revision()
    {
        var entry = _flags.Flag("acme", "beta");
        await entry.PutAsync(new Flag(true, ["a"]), new FlagInfo("ada", 1));
        await using var changes = entry.WatchAsync(KvWatchStart.Current).GetAsyncEnumerator();
        var first = await NextAsync(changes);
        (first.Kind, first.Name).Should().Be((KvChangeKind.Put, "flag:acme:beta"));
        first.Entry.Value.Should().BeEquivalentTo(new Flag(true, ["a"]));
        first.Entry.Metadata.Should().Be(new FlagInfo("ada", 1));
        (await NextAsync(changes)).Should().Match<KvTypedChange<Flag, FlagInfo>>(mark => mark.Kind == KvChangeKind.Current && mark.Name == "" && !mark.Entry.Exists);

        await _flags.Flag("acme", "other").PutAsync(new Flag(true, []));
        await entry.PutAsync(new Flag(false, []));
        var put = await NextAsync(changes);
        put.Entry.Value!.Enabled.Should().BeFalse();
        put.Revision.Should().Be((await _kv.GetAsync(entry.Key)).Revision);
        await entry.DeleteAsync();
        (await NextAsync(changes)).Kind.Should().Be(KvChangeKind.Delete);

        await using var again = entry.WatchAsync(put.Revision).GetAsyncEnumerator();
        (await NextAsync(again)).Kind.Should().Be(KvChangeKind.Delete);
    }

    [Fact]
    public async Task Watch_of_entries_leaves_out_keys_that_the_template_cannot_have_made()
    {
        await using var changes = _flags.Flags("acme").WatchAsync(KvWatchStart.Current).GetAsyncEnumerator();
        (await NextAsync(changes)).Kind.Should().Be(KvChangeKind.Current);
        await _kv.PutAsync("flag:acme:written:by others", "not JSON");
        await _flags.Flag("globex", "a").PutAsync(new Flag(true, []));
        await _flags.Flag("acme", "b").PutAsync(new Flag(true, []), new FlagInfo("b", 1));
        var put = await NextAsync(changes);
        (put.Name, put.Entry.Metadata!.By).Should().Be(("flag:acme:b", "b"));
        await _flags.Flag("acme", "b").DeleteAsync();
        (await NextAsync(changes)).Kind.Should().Be(KvChangeKind.Delete);
        await using var again = _flags.Flags("acme").WatchAsync(put.Revision).GetAsyncEnumerator();
        (await NextAsync(again)).Should().Match<KvTypedChange<Flag, FlagInfo>>(change => change.Kind == KvChangeKind.Delete && change.Name == "flag:acme:b");
    }

    [Fact]
    public async Task Watch_ends_with_a_clear_failure_at_a_value_that_does_not_fit()
    {
        await using var changes = _flags.Flag("acme", "a").WatchAsync(KvWatchStart.Current).GetAsyncEnumerator();
        (await NextAsync(changes)).Kind.Should().Be(KvChangeKind.Current);
        await _kv.PutAsync("flag:acme:a", "[]");
        var next = () => NextAsync(changes);
        await next.Should().ThrowAsync<System.Text.Json.JsonException>();
    }

    [Fact]
    public async Task Watch_of_a_region_is_not_supported()
    {
        await using var kv = KvNamespace.Create("FLAGS", new KvNamespaceOptions { Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"] } });
        var watch = () => IFlags.Create(kv.InRegion("lhr")).Flag("acme", "a").WatchAsync();
        watch.Should().Throw<NotSupportedException>().WithMessage("*\"FLAGS\" cannot be watched*IKvExtendedNamespace*");
        var watchAll = () => IFlags.Create(kv.InRegion("lhr")).AllFlags().WatchAsync(1);
        watchAll.Should().Throw<NotSupportedException>();
    }

    [Fact]
    public async Task Text_bytes_and_metadata_are_stored_as_they_are()
    {
        await _flags.Motd().PutAsync("\"hello\"", KvMetadata.FromJson("[1]"));
        var report = _flags.Report(ReportKind.Weekly, Guid.Empty, new DateOnly(2026, 1, 2), -1, long.MinValue, true, "x");
        await report.PutAsync(new byte[] { 0, 255 }, "é\"");

        (await _kv.GetTextAsync("motd")).Should().Be("\"hello\"");
        (await _flags.Motd().GetAsync()).Metadata.ToString().Should().Be("[1]");
        (await report.GetAsync()).Value.ToArray().Should().Equal(0, 255);
        (await report.GetAsync()).Metadata.Should().Be("é\"");
        report.Key.Should().Be("report/00000000-0000-0000-0000-000000000000/Weekly/2026-01-02/-1/-9223372036854775808/true/x");
    }

    [Fact]
    public async Task Listing_shows_the_entries_of_its_arguments_with_metadata()
    {
        await _flags.Flag("acme", "b").PutAsync(new Flag(true, []), new FlagInfo("b", 1));
        await _flags.Flag("acme", "a").PutAsync(new Flag(true, []), new FlagInfo("a", 1));
        await _flags.Flag("acme:x", "c").PutAsync(new Flag(true, []), new FlagInfo("c", 1));
        await _flags.Flag("globex", "d").PutAsync(new Flag(true, []));
        await _kv.PutAsync("flag:acme:written:by others", "not JSON");
        await _kv.PutAsync("flag:acme:%41", "escaped without need");

        (await ToListAsync(_flags.Flags("acme").ListAsync())).Should().Equal(
            new KvTypedKey<FlagInfo>("flag:acme:a", new FlagInfo("a", 1), _clock.GetUtcNow().AddHours(1)),
            new KvTypedKey<FlagInfo>("flag:acme:b", new FlagInfo("b", 1), _clock.GetUtcNow().AddHours(1)));
        (await ToListAsync(_flags.AllFlags().ListAsync())).Select(key => key.Name).Should().Equal("flag:acme%3Ax:c", "flag:acme:a", "flag:acme:b", "flag:globex:d");
        (await ToListAsync(_flags.Flags("acme:x").ListAsync())).Should().ContainSingle().Which.Metadata!.By.Should().Be("c");
        (await ToListAsync(_flags.Motds().ListAsync())).Should().BeEmpty();
    }

    public static TheoryData<bool> Extended => [true, false];

    [Theory]
    [MemberData(nameof(Extended))]
    public async Task Scan_reads_values_whatever_their_number_and_size(bool isExtended)
    {
        var flags = isExtended ? _flags : IFlags.Create(new ReferenceStore("FLAGS", _clock));
        for (var i = 0; i < 250; i++)
        {
            await flags.Flag("acme", i.ToString("000", null)).PutAsync(new Flag(i % 2 == 0, [i == 7 ? new string('x', 3_000_000) : ""]), new FlagInfo("ada", i));
        }

        // Too much for one get of many keys.
        for (var i = 0; i < 12; i++)
        {
            await flags.Flag("big", i.ToString("00", null)).PutAsync(new Flag(true, [new string('x', 3_000_000)]));
        }

        var items = await ToListAsync(flags.Flags("acme").ScanAsync());

        items.Select(item => item.Metadata!.Version).Should().Equal(Enumerable.Range(0, 250));
        items.Select(item => item.Value!.Enabled).Should().Equal(Enumerable.Range(0, 250).Select(i => i % 2 == 0));
        (await ToListAsync(flags.Flags("big").ScanAsync())).Should().HaveCount(12).And.OnlyContain(item => item.Value!.Groups[0].Length == 3_000_000);
    }

    [Theory]
    [MemberData(nameof(Extended))]
    public async Task Scan_works_within_a_lower_limit_of_keys(bool isExtended)
    {
        var limits = new KvLimits { GetManyKeysMax = 3 };
        await using var kv = KvNamespace.Create("FLAGS", new KvNamespaceOptions { Limits = limits });
        var flags = IFlags.Create(isExtended ? kv : new ReferenceStore("FLAGS", _clock, limits));
        for (var i = 0; i < 10; i++)
        {
            await flags.Flag("acme", i.ToString(null, null as IFormatProvider)).PutAsync(new Flag(true, []));
        }

        (await ToListAsync(flags.Flags("acme").ScanAsync())).Should().HaveCount(10);
    }

    [Fact]
    public async Task Large_value_that_is_replaced_during_a_scan_is_shown_as_it_is_now()
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-typed-");
        await using var kv = await KvNamespace.OpenAsync(
            "FLAGS", new KvNamespaceOptions { TimeProvider = _clock, Persistence = new FilePersistence(directory.FullName) });
        var flags = IFlags.Create(kv);
        for (var i = 0; i < 3; i++)
        {
            await flags.Flag("acme", $"{i}").PutAsync(new Flag(true, [new string('x', 3_000_000)]));
        }

        var lengths = new List<int>();
        await foreach (var item in flags.Flags("acme").ScanAsync())
        {
            lengths.Add(item.Value!.Groups[0].Length);
            if (lengths.Count == 1)
            {
                await flags.Flag("acme", "1").PutAsync(new Flag(true, [new string('y', 2_000_000)]));
                await flags.Flag("acme", "2").DeleteAsync();

                // What was read before is given up five seconds later.
                _clock.Advance(TimeSpan.FromSeconds(10));
                await kv.CompactAsync();
            }
        }

        lengths[..2].Should().Equal(3_000_000, 2_000_000);
        await kv.DisposeAsync();
        directory.Delete(recursive: true);
    }

    [Fact]
    public void Different_arguments_make_different_keys_that_give_them_back()
    {
        var pieces = Gen.Elements("a", ":", "%", "%3A", "3A", "::", "", "é", "😀", "{", "/", "u003A", "\0", ".", "A");
        var texts = pieces.ListOf().Select(parts => string.Concat(parts.Take(6)));
        var pairs = Gen.Zip(texts, texts);

        Prop.ForAll(Gen.Zip(pairs, pairs).ToArbitrary(), sample =>
        {
            var ((a, b), (c, d)) = sample;
            var (left, right) = (IFlags.FlagKey(a, b), IFlags.FlagKey(c, d));
            return (left == right) == (a == c && b == d)
                && IFlags.TryParseFlagKey(left, out var tenant, out var name) && tenant == a && name == b;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));
    }

    [Fact]
    public void Each_key_is_made_by_at_most_one_pair_of_arguments()
    {
        var keys = Gen.Elements("flag:", "a", ":", "%", "%3A", "%25", "%u003A", "%3a", "u", "é").ListOf().Select(parts => "flag:" + string.Concat(parts.Take(8)));

        Prop.ForAll(keys.ToArbitrary(), key => !IFlags.TryParseFlagKey(key, out var tenant, out var name) || IFlags.FlagKey(tenant, name) == key)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));
    }

    [Theory]
    [InlineData("sv-SE")]
    [InlineData("ar-SA")]
    [InlineData("fa-IR")]
    [InlineData("tr-TR")]
    public void Keys_of_every_type_do_not_depend_on_the_culture_and_are_read_back(string culture)
    {
        var before = System.Globalization.CultureInfo.CurrentCulture;
        try
        {
            System.Globalization.CultureInfo.CurrentCulture = CultureOf(culture);
            var id = new Guid("0123abcd-0000-0000-0000-00000000ffff");
            foreach (var kind in new[] { ReportKind.Daily, ReportKind.EverySevenDays, (ReportKind)(-3) })
            {
                var key = IFlags.ReportKey(kind, id, new DateOnly(2026, 11, 26), int.MinValue, 7, false, "a/b%");

                var name = kind switch { ReportKind.Daily => "Daily", ReportKind.Weekly => "Weekly", _ => "-3" };
                key.Should().Be($"report/0123abcd-0000-0000-0000-00000000ffff/{name}/2026-11-26/-2147483648/7/false/a%2Fb%25");
                IFlags.TryParseReportKey(key, out var k, out var i, out var day, out var number, out var big, out var isFinal, out var text).Should().BeTrue();
                (k, i, day, number, big, isFinal, text).Should().Be((kind, id, new DateOnly(2026, 11, 26), int.MinValue, 7L, false, "a/b%"));
            }
        }
        finally
        {
            System.Globalization.CultureInfo.CurrentCulture = before;
        }
    }

    [Theory]
    [InlineData("report/0123ABCD-0000-0000-0000-00000000ffff/Daily/2026-11-26/1/7/false/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/daily/2026-11-26/1/7/false/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/1/2026-11-26/1/7/false/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/EverySevenDays/2026-11-26/1/7/false/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/Daily/26.11.2026/1/7/false/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/Daily/2026-11-26/01/7/false/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/Daily/2026-11-26/1/99999999999999999999/false/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/Daily/2026-11-26/1/7/False/x")]
    [InlineData("report/0123abcd-0000-0000-0000-00000000ffff/Daily/2026-11-26/1/7/false/x/y")]
    [InlineData("report/")]
    [InlineData("")]
    public void Key_that_no_arguments_make_is_not_read(string key) =>
        IFlags.TryParseReportKey(key, out _, out _, out _, out _, out _, out _, out _).Should().BeFalse();

    [Fact]
    public void Key_that_is_too_long_is_refused_with_both_lengths()
    {
        var act = () => _flags.Flag(new string('é', 100), new string(':', 200));

        act.Should().Throw<ArgumentException>().WithMessage(
            "The key of IFlags.Flag has 806 bytes of UTF-8, 6 of them its template's; it may have 512. Pass shorter arguments, or put a hash of them into the key.*");
        _flags.Flag(new string('é', 100), new string('x', 306)).Key.Should().HaveLength(412);
    }

    [Fact]
    public void Null_argument_is_refused() => ((Action)(() => _flags.Flag(null!, "x"))).Should().Throw<ArgumentNullException>();

    [Fact]
    public async Task Value_that_does_not_fit_is_an_error_and_not_an_empty_object()
    {
        await _kv.PutAsync("flag:acme:beta", "[]");

        await _flags.Flag("acme", "beta").Awaiting(entry => entry.GetAsync().AsTask()).Should().ThrowAsync<System.Text.Json.JsonException>();
    }

    [Fact]
    public async Task Large_value_on_disk_is_read_and_its_file_let_go()
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-typed-").FullName;
        await using (var kv = await KvNamespace.OpenAsync("FLAGS", new KvNamespaceOptions { Persistence = new FilePersistence(directory) }))
        {
            var entry = IFlags.Create(kv).Report(ReportKind.Daily, Guid.Empty, default, 0, 0, false, "x");
            for (var i = 0; i < 5; i++)
            {
                await entry.PutAsync(Encoding.UTF8.GetBytes(new string((char)('a' + i), 2_000_000)));
                (await entry.GetAsync()).Value.Length.Should().Be(2_000_000);
            }

            // No read holds a file, so the four values that were replaced are gone; no garbage collection is needed for that.
            await kv.FlushAsync();
            Directory.GetFiles(directory, "*.value").Should().ContainSingle();
        }

        Directory.Delete(directory, recursive: true);
    }

    // Where the process has no cultures, one that writes numbers as that culture does.
    private static System.Globalization.CultureInfo CultureOf(string name)
    {
        var culture = (System.Globalization.CultureInfo)System.Globalization.CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NegativeSign = name == "sv-SE" ? "\u2212" : "\u200E-";
        culture.DateTimeFormat.ShortDatePattern = "dd.MM.yyyy";
        return culture;
    }

    private static async Task<List<T>> ToListAsync<T>(IAsyncEnumerable<T> items)
    {
        List<T> list = [];
        await foreach (var item in items)
        {
            list.Add(item);
        }

        return list;
    }

    private static async Task<T> NextAsync<T>(IAsyncEnumerator<T> changes)
    {
        (await changes.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30))).Should().BeTrue();
        return changes.Current;
    }
}
