using KvStore.AspNetCore.Tests.Adapters;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AspNetCore.Tests.OutputCaching;

/// <summary>Tags: what evicting one removes, and what is kept in memory for them.</summary>
public sealed class TagTests : PagesTest
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Evicting_a_tag_removes_all_and_only_the_pages_with_it(bool persisted)
    {
        using var storage = Storage.Of(persisted);
        var services = ServicesOn(storage);
        var store = StoreIn(services);
        await store.SetAsync("none", "v", Minute);
        await store.SetAsync("foo", "v", Minute, "foo");
        await store.SetAsync("bar", "v", Minute, "bar");
        await store.SetAsync("both", "v", Minute, "foo", "bar");
        if (persisted)
        {
            await services.DisposeAsync();
            services = ServicesOn(storage);
            store = StoreIn(services);
        }

        for (var i = 0; i < 2; i++)
        {
            await store.EvictAsync("foo");
            (await PresentAsync(store, "none", "foo", "bar", "both")).Should().Equal("none", "bar");
        }

        if (persisted)
        {
            await services.DisposeAsync();
            services = ServicesOn(storage);
            store = StoreIn(services);
        }

        for (var i = 0; i < 2; i++)
        {
            await store.EvictAsync("bar");
            (await PresentAsync(store, "none", "foo", "bar", "both")).Should().Equal("none");
        }

        NamespaceIn(services).Count.Should().Be(1, "what was evicted is gone from the namespace too");
        await services.DisposeAsync();
    }

    [Fact]
    public async Task Tags_follow_a_page_that_is_replaced()
    {
        using var storage = Storage.InDirectory();
        await using (var services = ServicesOn(storage))
        {
            var store = StoreIn(services);
            await store.SetAsync("k", "1", Minute, "old", "both");
            await store.SetAsync("k", "2", Minute, "new", "both");
            await store.EvictAsync("old");
            (await store.GetAsync("k")).Should().Be("2");
        }

        await using (var services = ServicesOn(storage))
        {
            var store = StoreIn(services);
            await store.EvictAsync("old");
            (await store.GetAsync("k")).Should().Be("2");
            await store.SetAsync("k", "3", Minute);
            await store.EvictAsync("new");
            await store.EvictAsync("both");
            (await store.GetAsync("k")).Should().Be("3", "it has no tags any more");
            await store.SetAsync("k", "4", Minute, "last");
            await store.EvictAsync("last");
            (await store.GetAsync("k")).Should().BeNull();
            await IndexBecomesAsync(services, pages: 0, tags: 0);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData(".")]
    [InlineData("a\0b\n\"\\")]
    [InlineData("тег 😀")]
    [InlineData("LONE HIGH SURROGATE")]
    [InlineData("LONE LOW SURROGATE")]
    [InlineData("~")]
    [InlineData("~sha256/")]
    public async Task Tag_of_any_kind_can_be_evicted_also_after_a_restart(string tag)
    {
        // Attributes cannot hold texts that are not Unicode.
        tag = tag.Replace("LONE HIGH SURROGATE", "\ud800").Replace("LONE LOW SURROGATE", "\udc00");
        using var storage = Storage.InDirectory();
        string[] others = [tag + "2", "~" + tag, tag + "X", tag == "\ud800" ? "\ud801" : "\ufffd"];
        await using (var services = ServicesOn(storage))
        {
            await StoreIn(services).SetAsync("k", "v", Minute, tag, tag);
            await StoreIn(services).SetAsync("others", "v", Minute, others);
        }

        await using var restarted = ServicesOn(storage);
        await StoreIn(restarted).EvictAsync(tag);
        (await PresentAsync(StoreIn(restarted), "k", "others")).Should().Equal("others");
        await StoreIn(restarted).EvictAsync(others[1]);
        (await PresentAsync(StoreIn(restarted), "k", "others")).Should().BeEmpty();
    }

    [Theory]
    [InlineData(1, 10_000)]
    [InlineData(1000, 3)]
    [InlineData(500, 100)]
    [InlineData(40, 2000)]
    public async Task Many_and_long_tags_all_work_also_after_a_restart(int count, int length)
    {
        using var storage = Storage.InDirectory();
        var tags = Enumerable.Range(0, count).Select(i => $"{i}".PadLeft(length, '_')).ToArray();
        await using (var services = ServicesOn(storage))
        {
            foreach (var (i, value) in new[] { "v", new string('v', 2_000_000), "" }.Index())
            {
                await StoreIn(services).SetAsync($"k{i}", value, Minute, tags);
                await StoreIn(services).SetAsync($"all but one {i}", value, Minute, tags[..^1]);
            }
        }

        await using var restarted = ServicesOn(storage);
        (await StoreIn(restarted).GetAsync("k0")).Should().Be("v");
        (await StoreIn(restarted).GetAsync("k1")).Should().HaveLength(2_000_000);
        (await StoreIn(restarted).GetAsync("k2")).Should().BeEmpty();
        await StoreIn(restarted).EvictAsync(tags[^1]);
        (await PresentAsync(StoreIn(restarted), "k0", "k1", "k2")).Should().BeEmpty();
        (await PresentAsync(StoreIn(restarted), "all but one 0", "all but one 1", "all but one 2")).Should().HaveCount(3);
    }

    [Fact]
    public async Task Thousands_of_pages_are_evicted_with_one_tag()
    {
        using var storage = Storage.InDirectory();
        await using var services = ServicesOn(storage, persistence: new() { Durability = Durability.Interval });
        var store = StoreIn(services);
        for (var i = 0; i < 3000; i++)
        {
            await store.SetAsync($"k{i}", "v", Minute, "all", i % 2 == 0 ? "even" : "odd");
        }

        await store.EvictAsync("even");
        NamespaceIn(services).Count.Should().Be(1500);
        await store.EvictAsync("all");
        NamespaceIn(services).Count.Should().Be(0);
        await IndexBecomesAsync(services, pages: 0, tags: 0);
    }

    [Fact]
    public async Task Index_forgets_pages_that_expire()
    {
        await using var services = ServicesOn(Storage.InMemory());
        for (var i = 0; i < 200; i++)
        {
            await StoreIn(services).SetAsync($"k{i}", "v", TimeSpan.FromSeconds(60 + i), "all", $"tag {i}");
        }

        IndexIn(services).Count.Should().Be((200, 201));
        await IndexBecomesAsync(services, pages: 0, tags: 0);
    }

    [Fact]
    public async Task Index_forgets_pages_that_are_evicted_for_memory()
    {
        await using var services = ServicesOn(
            Storage.InMemory(), options => options with { Memory = new() { BytesMax = 2 << 20, WhenFull = KvMemoryPolicy.Evict } });
        var store = StoreIn(services);
        for (var i = 0; i < 3000; i++)
        {
            await store.SetAsync($"k{i}", new string('v', 4000), TimeSpan.FromHours(1), "all", $"tag {i}");
        }

        NamespaceIn(services).EvictedCount.Should().BePositive();
        await EventuallyAsync(() => IndexIn(services).Count.Pages == NamespaceIn(services).Count, "the index has the pages that are left");
        IndexIn(services).Count.Tags.Should().Be(IndexIn(services).Count.Pages + 1);
        await store.EvictAsync("all");
        NamespaceIn(services).Count.Should().Be(0);
    }

    [Fact]
    public async Task Index_forgets_pages_that_others_delete_or_replace()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var kv = NamespaceIn(services);
        for (var i = 0; i < 6; i++)
        {
            await store.SetAsync($"k{i}", "v", TimeSpan.FromHours(1), $"tag {i}");
        }

        await kv.DeleteAsync("pages/k0");
        await kv.PutAsync("pages/k1", "no page");
        await kv.DeleteManyAsync(["pages/k2", "pages/k3"]);
        await IndexBecomesAsync(services, pages: 2, tags: 2);
        await kv.DeletePrefixAsync("");
        await IndexBecomesAsync(services, pages: 0, tags: 0);
    }

    [Fact]
    public async Task Page_that_was_imported_can_be_evicted()
    {
        await using var from = ServicesOn(Storage.InMemory());
        await StoreIn(from).SetAsync("k", "imported", TimeSpan.FromHours(1), "tag");
        using var file = new MemoryStream();
        await KvBulk.ExportAsync(NamespaceIn(from), file);
        file.Position = 0;
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        await store.SetAsync("k", "own", TimeSpan.FromHours(1), "other");
        await store.SetAsync("k2", "own", TimeSpan.FromHours(1), "other");

        await KvBulk.ImportAsync(NamespaceIn(services), file);

        await EventuallyAsync(() => IndexIn(services).Count == (2, 2), "the watch shows the imported page");
        await store.EvictAsync("other");
        (await PresentAsync(store, "k", "k2")).Should().Equal("k");
        await store.EvictAsync("tag");
        (await PresentAsync(store, "k", "k2")).Should().BeEmpty();
    }

    [Fact]
    public async Task Pages_that_are_stored_again_and_again_do_not_grow_the_index()
    {
        await using var services = ServicesOn(Storage.InMemory());
        for (var i = 0; i < 2000; i++)
        {
            await StoreIn(services).SetAsync($"k{i % 5}", "v", TimeSpan.FromHours(1), $"round {i}", "all");
        }

        IndexIn(services).Count.Should().Be((5, 6));
    }

    [Fact]
    public async Task Evicting_a_tag_that_nobody_has_is_harmless()
    {
        await using var services = ServicesOn(Storage.InMemory());
        await StoreIn(services).SetAsync("k", "v", Minute);

        await StoreIn(services).EvictAsync("nobody");

        (await StoreIn(services).GetAsync("k")).Should().Be("v");
        IndexIn(services).Count.Should().Be((0, 0));
        IndexIn(services).EvictedThrough.Should().BeNull();
    }

    private static async Task<List<string>> PresentAsync(Microsoft.AspNetCore.OutputCaching.IOutputCacheStore store, params string[] keys)
    {
        List<string> present = [];
        foreach (var key in keys)
        {
            if (await store.GetAsync(key) is not null)
            {
                present.Add(key);
            }
        }

        return present;
    }
}
