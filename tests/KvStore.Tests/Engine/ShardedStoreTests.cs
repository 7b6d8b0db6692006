using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Values;
using Record = KvStore.Records.Record;

namespace KvStore.Tests.Engine;

/// <summary>Revisions, tombstones and order, where mutations bring their numbers along and may be late.</summary>
public sealed class ShardedStoreTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;

    public ShardedStoreTests()
    {
        _clock = new CoarseClock(_time);
        _store = new ShardedStore(_clock, _time);
    }

    public void Dispose()
    {
        _store.Dispose();
        _clock.Dispose();
    }

    [Fact]
    public void A_late_put_does_not_replace_a_newer_one()
    {
        Put(_store, "k", "new", 2).Should().BeTrue();
        Put(_store, "k", "old", 1).Should().BeFalse();

        Read(_store, "k").Should().Be("new");
    }

    [Fact]
    public void A_late_put_does_not_bring_a_deleted_key_back()
    {
        Put(_store, "k", "first", 1);
        Delete(_store, "k", 3).Should().BeTrue();
        Put(_store, "k", "late", 2).Should().BeFalse();

        Read(_store, "k").Should().BeNull();
        Names(_store).Should().BeEmpty();
        _store.Count.Should().Be(0);
    }

    [Fact]
    public void A_delete_that_comes_before_any_put_still_wins_over_older_ones()
    {
        Delete(_store, "k", 5);
        Put(_store, "k", "older", 4).Should().BeFalse();
        Put(_store, "k", "newer", 6).Should().BeTrue();

        Read(_store, "k").Should().Be("newer");
        Names(_store).Should().Equal("k");
    }

    [Fact]
    public void A_late_delete_does_not_remove_a_newer_value()
    {
        Put(_store, "k", "v", 2);
        Delete(_store, "k", 1).Should().BeFalse();

        Read(_store, "k").Should().Be("v");
    }

    [Fact]
    public void Tombstones_are_forgotten_up_to_a_revision()
    {
        Delete(_store, "a", 5);
        Delete(_store, "b", 9);

        _store.ForgetTombstones(throughRevision: 5);

        Put(_store, "a", "v", 1).Should().BeTrue("nothing remembers the delete of a");
        Put(_store, "b", "v", 8).Should().BeFalse("the delete of b is still remembered");
    }

    [Fact]
    public void The_next_revision_is_higher_than_any_that_was_brought_along()
    {
        Put(_store, "k", "v", 1000);
        Put(_store, "k", "own", 0).Should().BeTrue();

        _store.Revision.Should().Be(1001);
        Read(_store, "k").Should().Be("own");
    }

    [Fact]
    public void Cleaning_keeps_tombstones_and_views()
    {
        Put(_store, "seen", "view", 0);
        _store.TryFind(new Utf8Key("seen"u8), out var seen).Should().BeTrue();
        var view = seen.ToValue().GetBytes();
        Delete(_store, "gone", 1_000_000);
        for (var i = 0; i < 40_000; i++)
        {
            Put(_store, $"fill{i % 10}", new string('x', 200), 0);
        }

        Delete(_store, "seen", 0);
        _time.Advance(TimeSpan.FromSeconds(2));

        _store.MemoryBytes.Should().BeLessThan(2 << 20, "the segments of what was overwritten are gone");
        Encoding.UTF8.GetString(view.Span).Should().Be("view");
        Put(_store, "gone", "late", 999_999).Should().BeFalse("the tombstone moved with the cleaner");
    }

    [Fact]
    public void Nothing_is_lost_when_the_numbers_of_segments_come_around()
    {
        const int Keys = 20_000;
        using var store = new ShardedStore(_clock, _time, firstSegment: HashEntry.SegmentIdEnd - 20);
        var expected = new SortedDictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < 5 * Keys; i++)
        {
            var name = $"key {i * 7919 % Keys:D6}";
            expected[name] = $"{i} {new string('v', 100)}";
            Put(store, name, expected[name], revision: i + 1);
            if (i % Keys == 0)
            {
                // Cleaning moves what is left of segments with high numbers to those with low ones.
                _time.Advance(TimeSpan.FromSeconds(1));
            }
        }

        store.Segments.ToList().Select(segment => segment.Id).Should().Contain(id => id < 100, "they must have come around");
        Names(store).Should().Equal(expected.Keys);
        expected.Should().AllSatisfy(pair => Read(store, pair.Key).Should().Be(pair.Value));
    }

    [Fact]
    public void Any_order_of_arrival_leads_to_the_same_state()
    {
        // Two keys that share a shard or not, ten revisions, in every order that FsCheck thinks of.
        var mutations = Enumerable.Range(1, 10).Select(revision => (Key: $"k{revision % 3}", IsDelete: revision % 4 == 0, Revision: revision)).ToArray();
        Prop.ForAll(Gen.Shuffle(mutations).ToArbitrary(), order =>
        {
            using var store = new ShardedStore(_clock, _time);
            foreach (var (key, isDelete, revision) in order)
            {
                _ = isDelete ? Delete(store, key, revision) : Put(store, key, $"v{revision}", revision);
            }

            foreach (var group in mutations.GroupBy(m => m.Key))
            {
                var last = group.MaxBy(m => m.Revision);
                Read(store, group.Key).Should().Be(last.IsDelete ? null : $"v{last.Revision}");
            }

            Names(store).Should().Equal(mutations.GroupBy(m => m.Key).Where(g => !g.MaxBy(m => m.Revision).IsDelete).Select(g => g.Key).Order());
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Lists_follow_any_history_of_puts_deletes_and_merges(int seed)
    {
        // Keys of one to three letters, so that each is a prefix of others, and a table and leaves that grow and shrink.
        var random = new Random(seed);
        var model = new SortedSet<string>(StringComparer.Ordinal);
        for (var step = 0; step < 30_000; step++)
        {
            var name = new string([.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => (char)('a' + random.Next(20)))]);
            if (random.Next(step < 20_000 ? 3 : 1) > 0)
            {
                Put(_store, name, name, 0);
                model.Add(name);
            }
            else
            {
                Delete(_store, name, 0);
                model.Remove(name);
            }

            if (random.Next(300) == 0)
            {
                var prefix = random.Next(2) == 0 ? "" : name[..1];
                var after = random.Next(2) == 0 ? "" : name;
                var expected = model.Where(k => k.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(k, after) > 0).Take(50);
                Names(_store, prefix, after, 50).Should().Equal(expected);
            }

            if (random.Next(1000) == 0)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
            }
        }

        Names(_store).Should().Equal(model);
    }

    private static bool Put(ShardedStore store, string name, string value, long revision)
    {
        var key = new Utf8Key(Encoding.UTF8.GetBytes(name));
        var bytes = Encoding.UTF8.GetBytes(value);
        var draft = store.Draft(key, metadataBytes: 0, bytes.Length, deadline: default);
        bytes.CopyTo(draft.Record.DraftValue);
        return store.Publish(key, draft, revision);
    }

    private static bool Delete(ShardedStore store, string name, long revision)
    {
        var key = new Utf8Key(Encoding.UTF8.GetBytes(name));
        return revision == 0 ? store.Remove(key) : store.Bury(key, revision);
    }

    private static string? Read(ShardedStore store, string name) =>
        store.TryFind(new Utf8Key(Encoding.UTF8.GetBytes(name)), out var record) ? Encoding.UTF8.GetString(record.Value) : null;

    private static List<string> Names(ShardedStore store, string prefix = "", string after = "", int limit = 100_000)
    {
        var results = new Record[limit];
        var count = store.List(Encoding.UTF8.GetBytes(prefix), Encoding.UTF8.GetBytes(after), results);
        return [.. results.Take(count).Select(record => Encoding.UTF8.GetString(record.Key))];
    }
}
