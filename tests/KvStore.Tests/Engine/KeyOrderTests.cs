using System.Text;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using Record = KvStore.Records.Record;

namespace KvStore.Tests.Engine;

/// <summary>The ordered index against a sorted set, with keys of every shape that its numbers may fail to tell apart.</summary>
public sealed class KeyOrderTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly SortedSet<byte[]> _expected = new(Comparer<byte[]>.Create((x, y) => x.AsSpan().SequenceCompareTo(y)));

    public KeyOrderTests()
    {
        _clock = new CoarseClock(_time);
        _store = new ShardedStore(_clock, _time);
    }

    public void Dispose()
    {
        _store.Dispose();
        _clock.Dispose();
    }

    [Theory]
    [InlineData("hexadecimal", 40_000)]
    [InlineData("counted up", 40_000)]
    [InlineData("counted down", 40_000)]
    [InlineData("capitals", 20_000)]
    [InlineData("any bytes", 20_000)]
    [InlineData("a long prefix", 20_000)]
    [InlineData("one a beginning of the other", 400)]
    [InlineData("zeros at the end", 400)]
    [InlineData("many prefixes", 40_000)]
    public void Keys_of_any_shape_are_listed_in_order(string shape, int count)
    {
        // In batches of all sizes: alone, a few that are compared, many that are sorted by their bytes.
        var random = new Random(5);
        var batches = new[] { 1, 2, 7, 100, 255, 256, 257, 3000 };
        for (var added = 0; added < count;)
        {
            var batch = batches[random.Next(batches.Length)];
            for (var i = 0; i < batch && added < count; i++, added++)
            {
                Put(Key(shape, added, random));
            }

            _store.Ordered.Merge();
        }

        // A put and a delete before anyone looks, and keys that are there again.
        foreach (var key in _expected.Where((_, i) => i % 7 == 0).ToList())
        {
            _store.Remove(new Utf8Key(key));
            _expected.Remove(key);
        }

        foreach (var key in Enumerable.Range(0, count / 10).Select(i => Key(shape, i * 3, random)))
        {
            Put(key);
        }

        Listed().Should().Equal(_expected.Select(Convert.ToHexString));
        _store.Ordered.Refresh(concerns: null);
        Listed().Should().Equal(_expected.Select(Convert.ToHexString));
        _store.Ordered.EntryCount.Should().Be(_expected.Count);
    }

    [Fact]
    public void A_prefix_that_comes_later_does_not_lose_the_keys_before_it()
    {
        // Whole batches that share more, then less, than the ones before.
        var random = new Random(6);
        foreach (var prefix in new[] { "zebra:aaaa:", "zebra:aaaa:bbbbbbbbbbbb:", "zebra:", "", "a", "zebra:aaaa:bbbbbbbbbbbb:cc" })
        {
            for (var i = 0; i < 3000; i++)
            {
                Put(Encoding.UTF8.GetBytes($"{prefix}{random.Next():x8}"));
            }

            _store.Ordered.Merge();
            Listed().Should().Equal(_expected.Select(Convert.ToHexString));
        }
    }

    private static byte[] Key(string shape, int i, Random random) => shape switch
    {
        "hexadecimal" => Encoding.UTF8.GetBytes($"session:{random.NextInt64():x16}"),
        "counted up" => Encoding.UTF8.GetBytes($"user:{i:d12}:profile"),
        "counted down" => Encoding.UTF8.GetBytes($"user:{1_000_000 - i:d12}:profile"),
        "capitals" => Enumerable.Range(0, 1 + random.Next(12)).Select(_ => (byte)('A' + random.Next(4))).ToArray(),
        "any bytes" => Bytes(random, 1 + random.Next(20)),
        "a long prefix" => Encoding.UTF8.GetBytes($"{new string('p', 300)}{random.Next(1000)}/{random.Next(100)}"),
        "one a beginning of the other" => Encoding.UTF8.GetBytes(new string('x', 1 + (i % 400))),
        "zeros at the end" => [(byte)'z', .. new byte[i % 400]],
        _ => Encoding.UTF8.GetBytes($"{(char)('!' + random.Next(90))}{random.Next(50)}:{random.Next()}"),
    };

    private static byte[] Bytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private void Put(byte[] key)
    {
        _expected.Add(key);
        _store.Publish(new Utf8Key(key), _store.Draft(new Utf8Key(key), metadataBytes: 0, valueBytes: 0, deadline: default));
    }

    private List<string> Listed()
    {
        var names = new List<string>();
        var page = new Record[1000];
        byte[] after = [];
        int found;
        do
        {
            found = _store.List(prefix: [], after, page);
            names.AddRange(page.Take(found).Select(record => Convert.ToHexString(record.Key)));
            after = found > 0 ? page[found - 1].Key.ToArray() : after;
        }
        while (found == page.Length);
        return names;
    }
}
