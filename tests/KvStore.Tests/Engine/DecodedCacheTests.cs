using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Reads;
using KvStore.Records;
using Record = KvStore.Records.Record;

namespace KvStore.Tests.Engine;

/// <summary>What hot records were decoded to.</summary>
public sealed class DecodedCacheTests : IDisposable
{
    // All of one set.
    private const ulong Hash = 0x0123_4567_89AB_CDEF;

    private readonly FakeTimeProvider _time = new();
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly DecodedCache _cache = new();

    public DecodedCacheTests()
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
    public void Value_is_cached_at_its_second_read_and_not_at_its_first()
    {
        var record = RecordOf(1);
        _cache.Offer(Hash, record, "one");
        _cache.Find(Hash, 1).Should().BeNull();

        _cache.Offer(Hash, record, "one");
        _cache.Find(Hash, 1).Should().Be("one");
    }

    [Fact]
    public void Set_keeps_as_many_values_as_it_has_ways_when_their_reads_alternate()
    {
        var records = RecordsOf(4);

        // Never the same twice in a row.
        for (var turn = 0; turn < 2; turn++)
        {
            foreach (var record in records)
            {
                _cache.Offer(Hash, record, $"{record.Revision}");
            }
        }

        records.Should().AllSatisfy(record => _cache.Find(Hash, record.Revision).Should().Be($"{record.Revision}"));
    }

    [Fact]
    public void Offer_to_a_full_set_evicts_an_entry_and_is_kept()
    {
        var records = RecordsOf(5);
        foreach (var record in records)
        {
            _cache.Offer(Hash, record, $"{record.Revision}");
            _cache.Offer(Hash, record, $"{record.Revision}");
        }

        _cache.Find(Hash, records[4].Revision).Should().Be($"{records[4].Revision}");
        records.Count(record => _cache.Find(Hash, record.Revision) is not null).Should().Be(4);
    }

    [Fact]
    public async Task Find_returns_only_the_value_of_its_revision_while_others_evict_it()
    {
        var records = RecordsOf(12);
        var isOver = false;
        var writers = Enumerable.Range(0, 2).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            for (var i = 0; i < 300_000; i++)
            {
                var record = records[random.Next(records.Length)];
                _cache.Offer(Hash, record, record.Revision);
                if (i % 1000 == 0)
                {
                    GC.Collect(0);
                }
            }
        })).ToArray();
        var found = 0L;
        var reader = Task.Run(() =>
        {
            while (!Volatile.Read(ref isOver))
            {
                foreach (var record in records)
                {
                    if (_cache.Find(Hash, record.Revision) is { } value)
                    {
                        found++;
                        ((long)value).Should().Be(record.Revision);
                    }
                }
            }
        });

        await Task.WhenAll(writers);
        Volatile.Write(ref isOver, true);
        await reader;

        found.Should().BePositive();
    }

    [Fact]
    public async Task Entry_evicted_and_offered_again_during_a_read_is_never_mixed_up()
    {
        // The set is full, and both displace the same way of it, and so each other.
        var records = RecordsOf(12);
        foreach (var other in records[..4])
        {
            _cache.Offer(Hash, other, other.Revision);
            _cache.Offer(Hash, other, other.Revision);
        }

        Record[] turns = [records[4], records[8]];
        object[] values = [turns[0].Revision, turns[1].Revision];
        var isOver = false;
        var writer = Task.Run(() =>
        {
            for (var i = 0; i < 3_000_000; i++)
            {
                _cache.Offer(Hash, turns[i & 1], values[i & 1]);
            }

            Volatile.Write(ref isOver, true);
        });
        var wrong = 0;
        var found = 0;
        while (!Volatile.Read(ref isOver))
        {
            for (var i = 0; i < turns.Length; i++)
            {
                if (_cache.Find(Hash, turns[i].Revision) is { } value)
                {
                    found++;
                    wrong += ReferenceEquals(value, values[i]) ? 0 : 1;
                }
            }
        }

        await writer;

        wrong.Should().Be(0, "{0} times something was found", found);
        found.Should().BePositive();
    }

    private Record[] RecordsOf(int revisions) => [.. Enumerable.Range(1, revisions).Select(revision => RecordOf(revision))];

    private Record RecordOf(long revision)
    {
        var draft = _store.Draft(new Utf8Key("k"u8), metadataBytes: 0, valueBytes: 10, deadline: default);
        draft.Record.SetRevision(revision);
        return draft.Record;
    }
}
