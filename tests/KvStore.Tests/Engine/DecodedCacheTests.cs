using KvStore.Engine;
using KvStore.Expiry;
using KvStore.Keys;
using Record = KvStore.Engine.Record;

namespace KvStore.Tests.Engine;

/// <summary>What hot records were decoded to.</summary>
public sealed class DecodedCacheTests : IDisposable
{
    private readonly ManualTimeProvider _time = new();
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly DecodedCache _cache = new();
    private readonly Record _record;

    public DecodedCacheTests()
    {
        _clock = new CoarseClock(_time);
        _store = new ShardedStore(_clock, _time);
        var key = new Utf8Key("k"u8);
        var draft = _store.Draft(key, 0, 10, 0);
        _store.Publish(key, draft);
        _record = draft.Record;
    }

    public void Dispose()
    {
        _store.Dispose();
        _clock.Dispose();
    }

    [Fact]
    public void What_is_read_once_is_not_kept_and_what_is_read_again_is()
    {
        _cache.Offer(_record, 1, "one");
        _cache.Find(1).Should().BeNull();

        _cache.Offer(_record, 1, "one");
        _cache.Find(1).Should().Be("one");
    }

    [Fact]
    public void As_many_as_a_set_has_room_for_are_kept_though_they_take_turns()
    {
        var addresses = OfOneSet(4);

        // Never the same twice in a row.
        for (var turn = 0; turn < 2; turn++)
        {
            foreach (var address in addresses)
            {
                _cache.Offer(_record, address, $"{address}");
            }
        }

        addresses.Should().AllSatisfy(address => _cache.Find(address).Should().Be($"{address}"));
    }

    [Fact]
    public void One_more_than_a_set_has_room_for_displaces_one_and_is_kept()
    {
        var addresses = OfOneSet(5);
        foreach (var address in addresses)
        {
            _cache.Offer(_record, address, $"{address}");
            _cache.Offer(_record, address, $"{address}");
        }

        _cache.Find(addresses[4]).Should().Be($"{addresses[4]}");
        addresses.Count(address => _cache.Find(address) is not null).Should().Be(4);
    }

    [Fact]
    public async Task Whoever_finds_something_finds_what_belongs_to_the_address_while_others_displace_it()
    {
        var addresses = OfOneSet(12);
        var isOver = false;
        var writers = Enumerable.Range(0, 2).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            for (var i = 0; i < 300_000; i++)
            {
                var address = addresses[random.Next(addresses.Length)];
                _cache.Offer(_record, address, address);
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
                foreach (var address in addresses)
                {
                    if (_cache.Find(address) is { } value)
                    {
                        found++;
                        ((long)value).Should().Be(address);
                    }
                }
            }
        });

        await Task.WhenAll(writers);
        Volatile.Write(ref isOver, true);
        await reader;

        found.Should().BePositive();
    }

    // Addresses that share a set: found by filling one after the other beside the first, until that is displaced or not.
    private static long[] OfOneSet(int count)
    {
        const ulong Golden = 0x9E37_79B9_7F4A_7C15;
        var set = unchecked(1UL * Golden) >> 53;
        return [.. Enumerable.Range(1, 1_000_000).Select(i => (long)i).Where(address => unchecked((ulong)address * Golden) >> 53 == set).Take(count)];
    }
}
