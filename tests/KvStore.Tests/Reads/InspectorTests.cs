using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Reads;

public sealed class InspectorTests
{
    [Fact]
    public void Pages_of_folders_together_hold_every_key_whatever_their_size()
    {
        var text = (int max) => Gen.Elements("a", "b", "/", ":", "é", "\U0001F600", "\uFFFF", "\0").ListOf().Select(parts => string.Concat(parts.Take(max)));
        var cases =
            from keys in text(6).Where(key => key.Length > 0).ListOf()
            from prefix in text(2)
            from delimiter in Gen.Elements("", "/", ":", "é", "ab")
            from limit in Gen.Choose(1, 6)
            select (keys, prefix, delimiter, limit);
        Prop.ForAll(cases.ToArbitrary(), c =>
        {
            using var kv = KvNamespace.Create("FOLDERS");
            foreach (var key in c.keys)
            {
                kv.PutAsync(key, "v").AsTask().Wait();
            }

            var read = new List<string>();
            string? cursor = null;
            do
            {
                var page = new KvInspector(kv).ListFolders(c.prefix, c.delimiter, cursor, c.limit);
                page.Items.Count.Should().BeLessThanOrEqualTo(c.limit);
                (page.Cursor is null || page.Items.Count == c.limit).Should().BeTrue("only the last page may be shorter");
                read.AddRange(page.Items.Select(item => (item.IsFolder ? "folder " : "key ") + item.Name));
                cursor = page.Cursor;
            }
            while (cursor is not null);

            var expected = c.keys.Distinct().Where(key => key.StartsWith(c.prefix, StringComparison.Ordinal)).Order(Comparer<string>.Create(InUtf8))
                .Select(key => c.delimiter.Length > 0 && key.IndexOf(c.delimiter, c.prefix.Length, StringComparison.Ordinal) is var at and >= 0
                    ? "folder " + key[..(at + c.delimiter.Length)] : "key " + key)
                .Distinct();
            read.Should().Equal(expected);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public async Task Peek_answers_like_a_get_and_does_not_make_a_region_cache_the_key()
    {
        await using var kv = KvNamespace.Create("PEEK", new KvNamespaceOptions
        {
            Replication = new KvReplicationOptions { Regions = ["a", "b"], HomeRegion = "a", Lag = KvLag.None, EdgeCache = new KvEdgeCacheOptions() },
        });
        await kv.PutAsync("key", "value");
        var inspector = new KvInspector(kv);

        inspector.Peek("key").GetText().Should().Be("value");
        inspector.Peek("key", "b").GetText().Should().Be("value");
        inspector.Peek("no-key", "b").Exists.Should().BeFalse();
        (await kv.InRegion("b").GetAsync("key")).CacheStatus.Should().Be("MISS", "a look is no read");
        var peek = () => inspector.Peek("key", "nowhere");
        peek.Should().Throw<ArgumentException>();
        var empty = () => inspector.Peek("");
        empty.Should().Throw<KvArgumentException>().Which.ParamName.Should().Be("key");
    }

    [Fact]
    public void Folders_of_a_foreign_page_are_grouped()
    {
        var page = KvFolderPage.Group(new KvListPage([new("a"), new("b/1"), new("b/2"), new("c")], cursor: "next"), "", "/");

        page.Items.Select(item => (item.Name, item.IsFolder)).Should().Equal(("a", false), ("b/", true), ("c", false));
        page.Cursor.Should().Be("next");
    }

    [Fact]
    public void Limit_of_less_than_one_item_is_refused()
    {
        using var kv = KvNamespace.Create("FOLDERS");
        var list = () => new KvInspector(kv).ListFolders("", "/", limit: 0);
        list.Should().Throw<ArgumentOutOfRangeException>().WithMessage("limit is 0; it must be at least 1.*");
    }

    private static int InUtf8(string left, string right) => Encoding.UTF8.GetBytes(left).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(right));
}
