using System.Text;
using KvStore.Tests.Watching;

namespace KvStore.Tests.Engines;

/// <summary>Watches of a namespace whose mutations other processes make too: an engine shows only the newest version of a key.</summary>
public sealed class WatchAtEngineTests
{
    [Fact]
    public async Task Delete_of_a_key_whose_put_never_arrived_is_shown()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        await using var watch = Watch.Begin(kv);
        engine.Put("a", "not passed on");
        engine.Host.Apply(engine.Delete("a"));
        engine.Host.Publish();
        (await ChangesOfAsync(watch, kv)).Should().Equal("delete a", "put end=");
    }

    [Fact]
    public async Task Every_delete_of_a_key_whose_puts_never_arrive_is_shown()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        await using var watch = Watch.Begin(kv);
        for (var i = 0; i < 3; i++)
        {
            engine.Put("a", "not passed on");
            engine.Host.Apply(engine.Delete("a"));
            engine.Host.Publish();
            (await ChangesOfAsync(watch, kv)).Should().Equal("delete a", "put end=");
        }
    }

    [Fact]
    public async Task Own_delete_of_a_key_whose_put_never_arrived_is_shown()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        await using var watch = Watch.Begin(kv);
        engine.Put("a", "not passed on");
        await kv.DeleteAsync("a");
        (await ChangesOfAsync(watch, kv)).Should().Equal("delete a", "put end=");
    }

    [Fact]
    public async Task Delete_that_a_comparison_finds_is_shown_though_its_put_never_arrived()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        await using var watch = Watch.Begin(kv);
        engine.Put("a", "not passed on");
        using (var swap = engine.Host.BeginSwap())
        {
            swap.Apply(engine.Delete("a"));
            swap.Complete();
        }

        (await ChangesOfAsync(watch, kv)).Should().Equal("delete a", "put end=");
    }

    [Fact]
    public async Task Watch_that_another_process_began_goes_on_with_a_delete_whose_put_never_arrived()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        await kv.PutAsync("marker", "");
        var shownElsewhere = engine.Put("a", "shown in the other process, and not passed on").Revision;
        engine.Host.Apply(engine.Delete("a"));
        engine.Host.Publish();
        await using var watch = Watch.Begin(kv, new KvWatchOptions { AfterRevision = shownElsewhere });
        (await ChangesOfAsync(watch, kv)).Should().Contain("delete a");
    }

    [Fact]
    public async Task Delete_from_before_the_opening_is_not_shown()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        await using var watch = Watch.Begin(kv);
        using (var swap = engine.Host.BeginSwap())
        {
            // The engine begins with 1000.
            swap.Apply(new KvMutation { Key = Encoding.UTF8.GetBytes("a"), IsDelete = true, Revision = 999 });
            swap.Complete();
        }

        (await ChangesOfAsync(watch, kv)).Should().Equal("put end=");
    }

    private static async Task<List<string>> ChangesOfAsync(Watch watch, KvNamespace kv)
    {
        await kv.PutAsync("end", "");
        var changes = new List<string>();
        while (changes.LastOrDefault() != "put end=")
        {
            changes.Add(Watch.Describe(await watch.NextAsync()));
        }

        return changes;
    }
}
