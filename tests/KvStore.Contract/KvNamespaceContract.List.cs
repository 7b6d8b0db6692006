using System.Globalization;
using System.Text;

namespace KvStore.Contract;

/// <summary>Listing keys: order, prefix, pages.</summary>
public abstract partial class KvNamespaceContract
{
    [Fact]
    public async Task An_empty_namespace_lists_nothing_and_is_complete()
    {
        var page = await Kv.ListAsync();

        page.Keys.Should().BeEmpty();
        page.ListComplete.Should().BeTrue();
        page.Cursor.Should().BeNull();
    }

    [Fact]
    public async Task Keys_are_listed_in_the_order_of_their_UTF_8_bytes()
    {
        string[] inOrder = ["\0", "\0\0", "\n", " ", "!", "0", "10", "2", "A", "Z", "a", "a\0", "a ", "aa", "ab", "b", "\u007F", "\u0080", "é", "日", "\uE000", "\uFFFF", "\U00010000", "\U0010FFFF"];
        await PutAll(inOrder.Reverse());

        (await Names()).Should().Equal(inOrder);
    }

    [Fact]
    public async Task A_prefix_is_compared_exactly()
    {
        await PutAll(["a", "a%", "a*", "a.", "a/", "a/b", "A/c", "a\0", "b", "é", "\u00E9x", "e\u0301", "..."]);

        (await Names("a")).Should().Equal("a", "a\0", "a%", "a*", "a.", "a/", "a/b");
        (await Names("a/")).Should().Equal("a/", "a/b");
        (await Names("a/b")).Should().Equal("a/b");
        (await Names("a/bc")).Should().BeEmpty();
        (await Names("a*")).Should().Equal("a*");
        (await Names("a%")).Should().Equal("a%");
        (await Names("a\0")).Should().Equal("a\0");
        (await Names("A")).Should().Equal("A/c");
        (await Names("é")).Should().Equal("é", "éx");
        (await Names(".")).Should().Equal("...");
        (await Names("..")).Should().Equal("...");
        (await Names("zzz")).Should().BeEmpty();
        (await Names("")).Should().HaveCount(13);
    }

    [Fact]
    public async Task A_prefix_ends_where_its_last_key_ends()
    {
        await PutAll(["p", "p\U0010FFFF", "p\U0010FFFF\U0010FFFF", "q", "\U0010FFFF", "\U0010FFFFa", "\U0010FFFF\U0010FFFF"]);

        (await Names("p")).Should().Equal("p", "p\U0010FFFF", "p\U0010FFFF\U0010FFFF");
        (await Names("p\U0010FFFF")).Should().Equal("p\U0010FFFF", "p\U0010FFFF\U0010FFFF");
        (await Names("\U0010FFFF")).Should().Equal("\U0010FFFF", "\U0010FFFFa", "\U0010FFFF\U0010FFFF");
    }

    [Fact]
    public async Task A_prefix_may_have_512_bytes_and_no_byte_more()
    {
        var longest = new string('k', 512);
        await Kv.PutAsync(longest, "v");

        (await Names(longest)).Should().Equal(longest);
        await ShouldRefuse(
            () => Kv.ListAsync(new KvListOptions { Prefix = longest + "k" }).AsTask(), 414,
            "KV GET failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.");
    }

    [Fact]
    public async Task No_key_begins_with_an_unpaired_surrogate()
    {
        await PutAll(["\uFFFD", "a\uFFFD", "\U0001F600"]);

        (await Names("\uD83D")).Should().BeEmpty();
        (await Names("a\uDE00")).Should().BeEmpty();
    }

    [Fact]
    public async Task An_entry_is_listed_once_however_often_it_was_put_with_what_it_has_now()
    {
        var at = DateTimeOffset.FromUnixTimeSeconds(Time.GetUtcNow().ToUnixTimeSeconds() + 5000);
        await PutAll(["a", "b", "c"]);
        for (var i = 0; i < 20; i++)
        {
            await Kv.PutAsync("b", $"{i}", new KvPutOptions { Metadata = KvMetadata.FromJson($"{i}"), Expiration = at });
        }

        await Kv.DeleteAsync("a");

        var page = await Kv.ListAsync();
        page.Keys.Should().Equal(new KvListKey("b", at, KvMetadata.FromJson("19")), new KvListKey("c"));
    }

    [Fact]
    public async Task A_page_has_1000_keys_unless_asked_for_fewer()
    {
        var keys = Enumerable.Range(0, 1001).Select(i => i.ToString("D4", CultureInfo.InvariantCulture)).ToArray();
        await PutAll(keys);

        foreach (var limit in KeysAPageMin == 1 ? new int?[] { null, 0, -1, 1000 } : [null, 1000])
        {
            var page = await Kv.ListAsync(new KvListOptions { Limit = limit });
            page.Keys.Select(key => key.Name).Should().Equal(keys[..1000]);
            page.ListComplete.Should().BeFalse();
            page.Cursor.Should().NotBeNullOrEmpty();

            var rest = await Kv.ListAsync(new KvListOptions { Cursor = page.Cursor, Limit = limit });
            rest.Keys.Select(key => key.Name).Should().Equal("1000");
            rest.ListComplete.Should().BeTrue();
        }

        (await Names()).Should().Equal(keys);
    }

    [Fact]
    public async Task More_than_1000_keys_a_page_are_refused_before_anything_else()
    {
        string Message(int limit) => KeysAPageMin == 1
            ? FormattableString.Invariant($"KV GET failed: 400 Invalid key_count_limit of {limit}. Please specify an integer less than 1000.")
            : FormattableString.Invariant($"KV GET failed: 400 Invalid limit of {limit}. It must be {KeysAPageMin} to 1000.");
        await ShouldRefuse(() => Kv.ListAsync(new KvListOptions { Limit = 1001, Prefix = new string('p', 513) }).AsTask(), 400, Message(1001));
        await ShouldRefuse(() => Kv.ListAsync(new KvListOptions { Limit = int.MaxValue }).AsTask(), 400, Message(int.MaxValue));
        if (KeysAPageMin > 1)
        {
            await ShouldRefuse(() => Kv.ListAsync(new KvListOptions { Limit = KeysAPageMin - 1 }).AsTask(), 400, Message(KeysAPageMin - 1));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(6)]
    [InlineData(7)]
    public async Task Pages_follow_one_another_without_a_gap_or_a_repetition(int limit)
    {
        limit *= KeysAPageMin;
        string[] keys = [.. InOrder(Several(["p", "p\0", "p/1", "p/é", "p\uFFFF", "p\U0001F600"]))];
        await PutAll([.. keys, "o", "q"]);
        var names = new List<string>();
        KvListPage? page = null;
        do
        {
            page = await Kv.ListAsync(new KvListOptions { Prefix = "p", Limit = limit, Cursor = page?.Cursor });
            page.Keys.Count.Should().Be(Math.Min(limit, keys.Length - names.Count));
            names.AddRange(page.Keys.Select(key => key.Name));
            page.ListComplete.Should().Be(names.Count == keys.Length, "a page after which nothing remains is the last");
            (page.Cursor is null).Should().Be(page.ListComplete);
        }
        while (!page.ListComplete);

        names.Should().Equal(keys);
    }

    [Fact]
    public async Task A_cursor_may_be_used_again_and_outlives_the_key_it_stands_on()
    {
        await PutAll(["a", "b", "c", "d", .. Enumerable.Range(1, KeysAPageMin - 1).Select(i => $"A{i}")]);
        var cursor = (await Kv.ListAsync(new KvListOptions { Limit = 1 + KeysAPageMin })).Cursor;

        await Kv.DeleteAsync("b");
        await PutAll(["aa", "bb"]);

        for (var i = 0; i < 2; i++)
        {
            var page = await Kv.ListAsync(new KvListOptions { Cursor = cursor });
            page.Keys.Select(key => key.Name).Should().Equal("bb", "c", "d");
        }

        foreach (var key in new[] { "bb", "c", "d" })
        {
            await Kv.DeleteAsync(key);
        }

        var empty = await Kv.ListAsync(new KvListOptions { Cursor = cursor });
        empty.Keys.Should().BeEmpty();
        empty.ListComplete.Should().BeTrue();
    }

    [Fact]
    public async Task An_empty_cursor_begins_at_the_first_key()
    {
        await PutAll(["a", "b"]);

        (await Kv.ListAsync(new KvListOptions { Cursor = "" })).Keys.Should().HaveCount(2);
    }

    [Fact]
    public async Task A_cursor_that_no_page_gave_is_refused()
    {
        await PutAll(["a", "b", "c", .. Enumerable.Range(1, KeysAPageMin - 1).Select(i => $"A{i}")]);
        var cursor = (await Kv.ListAsync(new KvListOptions { Limit = KeysAPageMin })).Cursor!;

        string[] madeUp =
        [
            "x", "a", "b", "!!!", "0", "\0", "é", "\uD800", " ", cursor + "x", "x" + cursor, cursor + cursor,
            new('A', 5000), Convert.ToBase64String("a"u8),
        ];
        foreach (var wrong in madeUp)
        {
            await ShouldRefuse(
                () => Kv.ListAsync(new KvListOptions { Cursor = wrong }).AsTask(), 400,
                FormattableString.Invariant($"KV {CursorOperation} failed: 400 Invalid cursor. Please specify the cursor of the page before, as it was returned."));
        }
    }

    [Fact]
    public async Task A_cursor_works_after_keys_of_any_kind()
    {
        foreach (var key in UnusualKeys)
        {
            await Kv.PutAsync(key, "v");
        }

        var names = new List<string>();
        KvListPage? page = null;
        do
        {
            page = await Kv.ListAsync(new KvListOptions { Limit = KeysAPageMin, Cursor = page?.Cursor });
            names.AddRange(page.Keys.Select(key => key.Name));
        }
        while (!page.ListComplete);

        names.Should().Equal(InOrder(UnusualKeys));
    }

    [Fact]
    public async Task No_key_that_exists_throughout_is_missed_or_repeated_while_others_come_and_go()
    {
        var stable = Enumerable.Range(0, 300).Select(i => $"k{i:D4}").ToArray();
        await PutAll(stable);
        var seen = new List<string>();
        KvListPage? page = null;
        var round = 0;
        do
        {
            page = await Kv.ListAsync(new KvListOptions { Limit = Math.Max(7, KeysAPageMin), Cursor = page?.Cursor });
            seen.AddRange(page.Keys.Select(key => key.Name).Where(name => name.Length == 5));
            foreach (var i in new[] { (round * 37) % 300, (round * 11) % 300 })
            {
                await Kv.PutAsync($"k{i:D4}/new", "v");
                await Kv.PutAsync($"k{i:D4}", "overwritten");
                await Kv.DeleteAsync($"k{(i * 7) % 300:D4}/new");
            }

            round++;
        }
        while (!page.ListComplete);

        seen.Should().Equal(stable);
    }

    // So many keys for each that pages can be as short, in proportion, as they can be at all.
    private IEnumerable<string> Several(IEnumerable<string> keys) =>
        keys.SelectMany(key => Enumerable.Range(0, KeysAPageMin).Select(i => i == 0 ? key : $"{key}{i:D2}"));

    private static IEnumerable<string> InOrder(IEnumerable<string> keys) =>
        keys.OrderBy(Encoding.UTF8.GetBytes, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
}
