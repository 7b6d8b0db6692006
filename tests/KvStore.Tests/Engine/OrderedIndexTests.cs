using System.Text;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using Record = KvStore.Records.Record;

namespace KvStore.Tests.Engine;

/// <summary>What a list sees while the background brings new keys into the ordered index.</summary>
public sealed class OrderedIndexTests
{
    [Fact]
    public async Task A_key_is_listed_from_the_moment_it_is_put_whatever_is_being_merged()
    {
        var time = new FakeTimeProvider();
        using var clock = new CoarseClock(time);
        using var store = new ShardedStore(clock, time);
        var wanted = 0;
        var background = Task.Run(() =>
        {
            for (var merged = 0; merged >= 0;)
            {
                var next = Volatile.Read(ref wanted);
                if (next != merged)
                {
                    merged = next;
                    store.Ordered.Merge();
                }
            }
        });

        // In random order and many at a time, so that sorting and merging them takes long enough to be met on the way.
        var random = new Random(1);
        var missing = new List<string>();
        var found = new Record[1];
        for (var round = 1; round <= 2_000; round++)
        {
            var key = Array.Empty<byte>();
            for (var i = 0; i < 200; i++)
            {
                key = Encoding.UTF8.GetBytes($"key{random.NextInt64():x16}");
                var draft = store.Draft(new Utf8Key(key), metadataBytes: 0, valueBytes: 0, deadline: default);
                store.Publish(new Utf8Key(key), draft);
            }

            // The list comes at any moment of the merge, not always at its beginning.
            Volatile.Write(ref wanted, round);
            Thread.SpinWait(random.Next(500));
            if (store.List(key, after: [], found) != 1)
            {
                missing.Add(Encoding.UTF8.GetString(key));
            }
        }

        Volatile.Write(ref wanted, -1);
        await background;
        missing.Should().BeEmpty();
    }
}
