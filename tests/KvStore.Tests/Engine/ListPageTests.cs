using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvStore.Tests.Engine;

/// <summary>How a page is put together: of any number of keys, and no more memory than it shows.</summary>
public sealed class ListPageTests
{
    private const int Keys = 700;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(257)]
    [InlineData(Keys - 1)]
    [InlineData(Keys)]
    [InlineData(1000)]
    public async Task Pages_of_any_size_join_to_all_keys_in_order(int limit)
    {
        await using var kv = KvNamespace.Create("LIST_KV");
        var names = Enumerable.Range(0, Keys).Select(i => $"key/{i:D5}").ToArray();
        foreach (var name in names)
        {
            await kv.PutAsync(name, "v");
        }

        var listed = new List<string>();
        string? cursor = null;
        do
        {
            var page = await kv.ListAsync(new KvListOptions { Limit = limit, Cursor = cursor });
            page.Keys.Should().HaveCount(Math.Min(limit, Keys - listed.Count));
            listed.AddRange(page.Keys.Select(key => key.Name));
            cursor = page.Cursor;
        }
        while (cursor is not null);

        listed.Should().Equal(names);
    }

    [Fact]
    public async Task A_listed_key_keeps_its_metadata_when_the_entry_is_gone()
    {
        await using var kv = KvNamespace.Create("LIST_KV");
        await kv.PutAsync("a", "1", new KvPutOptions { Metadata = KvMetadata.FromJson("""{"by":"ada"}"""), ExpirationTtl = TimeSpan.FromHours(1) });
        var listed = (await kv.ListAsync()).Keys[0];
        await kv.DeleteAsync("a");

        listed.Metadata.Should().Be(KvMetadata.FromJson("""{"by":"ada"}"""));
        listed.Should().Be(new KvListKey("a", listed.Expiration, KvMetadata.FromJson("""{"by":"ada"}""")));
        listed.Should().NotBe(new KvListKey("a", listed.Expiration));
    }

    [Fact]
    public async Task A_page_without_metadata_does_not_keep_the_entries_in_memory()
    {
        var (page, value) = await ListAndForget();

        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();

        page.Keys.Should().ContainSingle().Which.Name.Should().Be("a");
        value.IsAlive.Should().BeFalse();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<(KvListPage Page, WeakReference Value)> ListAndForget()
    {
        await using var kv = KvNamespace.Create("LIST_KV");
        await kv.PutAsync("a", "1");
        var page = await kv.ListAsync();
        var value = await kv.GetAsync("a");
        MemoryMarshal.TryGetArray(value.GetBytes(), out var array).Should().BeTrue();
        return (page, new WeakReference(array.Array));
    }
}
