using KvStore.Tests.Watching;

namespace KvStore.Tests.Contract;

/// <content>Watching for changes.</content>
public abstract partial class KvExtendedNamespaceContract
{
    [Fact]
    public async Task Watch_shows_every_way_to_write()
    {
        await using var watch = Watch.Begin(Kv);
        await Kv.PutAsync("a", "text");
        await Kv.PutAsync("b", "bytes"u8.ToArray());
        await Kv.PutAsync("c", new MemoryStream("stream"u8.ToArray()));
        await Kv.PutAsync("d", new string('x', 300_000));
        (await watch.NextAsync(4)).Should().Equal("put a=text", "put b=bytes", "put c=stream", $"put d={new string('x', 300_000)}");
        await Kv.TryPutAsync("a", "conditional", KvCondition.Present);
        await Kv.TryPutAsync("a", "refused", KvCondition.Absent);
        await Kv.PutManyAsync([new KvEntry("e", "1"), new KvEntry("f", "2")]);
        await Kv.TouchAsync("b", TimeSpan.FromMinutes(2));
        (await watch.NextAsync(4)).Should().Equal("put a=conditional", "put e=1", "put f=2", "put b=bytes");
        await Kv.DeleteAsync("a");
        await Kv.TryDeleteAsync("b", KvCondition.Present);
        await Kv.DeleteManyAsync(["c", "missing"]);
        await Kv.DeletePrefixAsync("d");
        (await watch.NextAsync(4)).Should().Equal("delete a", "delete b", "delete c", "delete d");
        watch.ShouldWait();
    }

    [Fact]
    public async Task Watch_from_the_current_state_shows_it_in_order_and_marks_its_end()
    {
        await Kv.PutAsync("b", "2");
        await Kv.PutAsync("a", "1", Ttl(60));
        await using var watch = Watch.Begin(Kv, new KvWatchOptions { Start = KvWatchStart.Current });
        (await watch.NextAsync(3)).Should().Equal("put a=1", "put b=2", "current");
        Clock.Advance(TimeSpan.FromSeconds(62));
        (await watch.NextAsync(1)).Should().Equal("expire a");
    }

    [Fact]
    public async Task Revisions_of_changes_are_those_of_the_entries_and_a_watch_goes_on_after_them()
    {
        await using var watch = Watch.Begin(Kv);
        var written = await Kv.TryPutAsync("a", "1", KvCondition.Absent);
        var put = await watch.NextAsync();
        put.Revision.Should().Be(written.Revision).And.Be(put.Value.Revision).And.Be(await RevisionOf("a"));
        var deleted = await Kv.TryDeleteAsync("a", KvCondition.Present);
        (await watch.NextAsync()).Revision.Should().Be(deleted.Revision).And.BeGreaterThan(put.Revision);
        await Kv.PutAsync("b", "2");
        await using var next = Watch.Begin(Kv, new KvWatchOptions { AfterRevision = put.Revision });
        (await next.NextAsync(2)).Should().Equal("delete a", "put b=2");
        next.ShouldWait();
    }

    [Fact]
    public async Task Watch_after_a_restart_begins_anew_and_ends_before_it()
    {
        await Kv.PutAsync("a", "1");
        await Kv.PutAsync("b", "1");
        var seen = await RevisionOf("b");
        await Kv.DeleteAsync("a");
        await using var watch = Watch.Begin(Kv);
        watch.ShouldWait();
        await ReopenAsync();
        if (Persists)
        {
            (await watch.MovesNextAsync()).Should().BeFalse();
            await using var next = Watch.Begin(Kv, new KvWatchOptions { AfterRevision = seen });
            (await next.NextAsync(3)).Should().Equal("reset", "put b=1", "current");
        }
    }
}
