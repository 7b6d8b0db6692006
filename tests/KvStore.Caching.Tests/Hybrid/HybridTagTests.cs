
namespace KvStore.Caching.Tests.Hybrid;

/// <summary>Removal by tag takes the entries out of the namespace, also those from before a restart.</summary>
public sealed class HybridTagTests
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Removed_entries_are_gone_from_the_namespace_when_the_call_returns(bool isPersisted, bool isRestarted)
    {
        await using var host = new HybridHost(isPersisted);
        await FillAsync(host);
        if (isRestarted)
        {
            await host.RestartAsync();
        }

        await host.Cache.RemoveByTagAsync("even");
        (await host.KeysAsync()).Should().Equal("hybrid/1", "hybrid/3", "hybrid/5", "hybrid/untagged");
        await host.Cache.RemoveByTagAsync(["third", "none"]);
        (await host.KeysAsync()).Should().Equal("hybrid/1", "hybrid/5", "hybrid/untagged");
        await host.Kv.PutAsync("other/key", "of another adapter");
        await host.Cache.RemoveByTagAsync(["*", "even"]);
        (await host.KeysAsync()).Should().Equal("other/key");
    }

    [Fact]
    public async Task Removal_survives_a_restart()
    {
        await using var host = new HybridHost(isPersisted: true);
        await FillAsync(host);
        await host.Cache.RemoveByTagAsync("even");
        await host.RestartAsync();
        (await host.Cache.GetOrCreateAsync("2", _ => new ValueTask<string>("created"))).Should().Be("created");
        (await host.Cache.GetOrCreateAsync("3", _ => new ValueTask<string>("created"))).Should().Be("3");
    }

    [Fact]
    public async Task Tag_that_a_restart_has_found_is_removed_by_the_index()
    {
        await using var host = new HybridHost(isPersisted: true);
        await FillAsync(host);
        await host.RestartAsync();
        var tags = host.Internals.Store.Tags;
        await host.Cache.RemoveByTagAsync("the first tag that is used since the restart");
        await Eventually.BecomesAsync(() => tags.TryFind(["even"], out var keys) ? keys.Count : -1, 3);
        await host.Cache.RemoveByTagAsync("even");
        (await host.KeysAsync()).Should().Equal("hybrid/1", "hybrid/3", "hybrid/5", "hybrid/untagged");
        await Eventually.BecomesAsync(() => tags.TryFind(["even"], out var keys) ? keys.Count : -1, 0);
    }

    [Fact]
    public async Task Namespace_is_watched_from_the_first_tag_on()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1");
        await host.Cache.GetOrCreateAsync("b", _ => new ValueTask<Basket>(new Basket()));
        await host.Cache.RemoveAsync("a");
        await host.Cache.RemoveByTagAsync("*");
        host.Internals.Store.Watch.IsStarted.Should().BeFalse();
        await host.Cache.SetAsync("a", "1", tags: ["tag"]);
        host.Internals.Store.Watch.IsStarted.Should().BeTrue();
        await host.Cache.RemoveByTagAsync("tag");
        (await host.KeysAsync()).Should().BeEmpty();
    }

    [Fact]
    public async Task Index_of_tags_forgets_what_was_removed_replaced_or_evicted()
    {
        await using var host = new HybridHost();
        var tags = host.Internals.Store.Tags;
        await FillAsync(host);
        for (var i = 0; i < 6; i++)
        {
            await host.Cache.SetAsync($"{i}", $"{i}", tags: ["other"]);
        }

        await Eventually.BecomesAsync(() => tags.Count, 1);
        await host.Cache.SetAsync("1", "1");
        await host.Cache.RemoveAsync("2");
        await host.Kv.DeleteAsync("hybrid/3");
        await Eventually.BecomesAsync(() => tags.TryFind(["other"], out var keys) ? keys.Count : -1, 3);
        await host.Cache.RemoveByTagAsync("other");
        await Eventually.BecomesAsync(() => tags.Count, 0);
        await Eventually.BecomesAsync(() => host.Internals.Entries.Count, 2);
    }

    [Fact]
    public async Task Many_and_long_tags_are_stored()
    {
        await using var host = new HybridHost(isPersisted: true);
        string[] many = [.. Enumerable.Range(0, 200).Select(i => $"a tag with a long name {i}")];
        var basket = new Basket { Owner = "ada", Items = { "book" } };
        await host.Cache.SetAsync("many", basket, tags: many);
        await host.Cache.SetAsync("large", new string('x', 400_000), tags: many);
        await host.Cache.SetAsync("none", basket);
        await host.RestartAsync();
        (await host.Cache.GetOrCreateAsync<Basket>("many", _ => throw new InvalidOperationException())).Should().BeEquivalentTo(basket);
        (await host.Cache.GetOrCreateAsync<string>("large", _ => throw new InvalidOperationException())).Should().HaveLength(400_000);
        await host.Cache.RemoveByTagAsync("the first tag that is used since the restart");
        await Eventually.BecomesAsync(() => host.Internals.Store.Tags.TryFind([many[150]], out var keys) ? keys.Count : -1, 2);
        await host.Cache.RemoveByTagAsync(many[^1]);
        (await host.KeysAsync()).Should().Equal("hybrid/none");
        await Eventually.BecomesAsync(() => host.Internals.Store.Tags.Count, 0);
    }

    [Fact]
    public async Task Tags_of_any_text_are_different_tags()
    {
        await using var host = new HybridHost(isPersisted: true);
        string[] tags = ["a", "A", "ä", "a\u0308", "🙂", "\uFFFD", "~", "~~", "~utf16/00d8", "\"\\", "a\nb", "**", " a"];
        for (var i = 0; i < tags.Length; i++)
        {
            await host.Cache.SetAsync($"{i}", i, tags: [tags[i]]);
        }

        await host.RestartAsync();
        for (var i = 0; i < tags.Length; i++)
        {
            await host.Cache.RemoveByTagAsync(tags[i]);
            (await host.KeysAsync()).Should().HaveCount(tags.Length - 1 - i).And.NotContain($"hybrid/{i}");
        }
    }

    [Fact]
    public async Task Removal_by_tag_finds_entries_with_long_keys()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync(new string('k', 1000), 1, tags: ["t"]);
        await host.Cache.SetAsync(new string('é', 300), 1, tags: ["t"]);
        host.Kv.Count.Should().Be(2);
        await host.Cache.RemoveByTagAsync("t");
        host.Kv.Count.Should().Be(0);
    }

    [Fact]
    public async Task Entry_that_is_created_for_a_removed_tag_is_not_stored_and_not_joined()
    {
        await using var host = new HybridHost();
        foreach (var remove in new Func<ValueTask>[]
        {
            () => host.Cache.RemoveByTagAsync("t"), () => host.Cache.RemoveByTagAsync("*"), () => host.Cache.RemoveAsync("a"), () => host.Cache.RemoveByTagAsync(["u", "t"]),
        })
        {
            var finish = new TaskCompletionSource();
            var before = host.Cache.GetOrCreateAsync("a", async _ =>
            {
                await finish.Task;
                return "before";
            }, tags: ["t"]).AsTask();
            await remove();
            (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("after"), tags: ["t"])).Should().Be("after", "a caller who comes after the removal does not join");
            finish.SetResult();
            (await before).Should().Be("before");
            (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("again"))).Should().Be("after");
            await host.Cache.RemoveAsync("a");
        }

        host.Internals.Writes.Count.Should().Be(0);
    }

    [Fact]
    public async Task Creation_with_other_tags_is_stored_after_a_removal()
    {
        await using var host = new HybridHost();
        var finish = new TaskCompletionSource();
        var creation = host.Cache.GetOrCreateAsync("a", async _ =>
        {
            await finish.Task;
            return "created";
        }, tags: ["t"]).AsTask();
        await host.Cache.RemoveByTagAsync("other");
        await host.Cache.RemoveAsync("b");
        finish.SetResult();
        await creation;
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("again"))).Should().Be("created");
    }

    [Fact]
    public async Task Value_that_is_set_wins_over_one_that_is_being_created()
    {
        await using var host = new HybridHost();
        var finish = new TaskCompletionSource();
        var creation = host.Cache.GetOrCreateAsync("a", async _ =>
        {
            await finish.Task;
            return "created";
        }).AsTask();
        await host.Cache.SetAsync("a", "set");
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("again"))).Should().Be("set");
        finish.SetResult();
        (await creation).Should().Be("created");
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("again"))).Should().Be("set");
    }

    [Fact]
    public async Task Removal_of_many_entries_removes_all_and_only_the_tagged()
    {
        await using var host = new HybridHost();
        for (var i = 0; i < 20_000; i++)
        {
            await host.Cache.SetAsync($"{i}", i, tags: [i % 4 == 0 ? "fourth" : "other"]);
        }

        await host.Cache.RemoveByTagAsync("fourth");
        host.Kv.Count.Should().Be(15_000);
    }

    private static async Task FillAsync(HybridHost host)
    {
        for (var i = 0; i < 6; i++)
        {
            await host.Cache.SetAsync($"{i}", $"{i}", tags: [i % 2 == 0 ? "even" : "odd", i % 3 == 0 ? "third" : "not third"]);
        }

        await host.Cache.SetAsync("untagged", "x");
    }
}
