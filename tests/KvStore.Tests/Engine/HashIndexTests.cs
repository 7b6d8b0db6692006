using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;
using Record = KvStore.Records.Record;

namespace KvStore.Tests.Engine;

/// <summary>Finding entries when buckets are full, have deleted entries, or belong to a table that is being replaced.</summary>
public sealed class HashIndexTests
{
    private static readonly string[] s_names = [.. Enumerable.Range(0, 3000).Select(i => $"key-{i * 7919:x8}")];

    [Fact]
    public void Bucket_search_finds_exactly_the_matching_entries()
    {
        var random = new Random(1);
        var bucket = new long[HashBucket.Entries];
        for (var round = 0; round < 1000; round++)
        {
            for (var i = 0; i < bucket.Length; i++)
            {
                bucket[i] = ((long)random.Next(4) << 60) | (uint)random.Next(3);
            }

            var value = bucket[random.Next(bucket.Length)];
            HashBucket.Find(in bucket[0], value).Should().Be(Expected(bucket, -1, value));
            HashBucket.Find(in bucket[0], HashEntry.TagMask, value & HashEntry.TagMask)
                .Should().Be(Expected(bucket, HashEntry.TagMask, value & HashEntry.TagMask));
        }
    }

    [Fact]
    public void Bucket_search_finds_exactly_the_matching_halves_of_entries()
    {
        var random = new Random(2);
        var halves = new uint[2 * HashBucket.Entries];
        for (var round = 0; round < 1000; round++)
        {
            for (var i = 0; i < halves.Length; i++)
            {
                halves[i] = (uint)random.Next(3) << (16 * random.Next(2));
            }

            var half = halves[random.Next(halves.Length)];

            HashBucket.FindHalf(in MemoryMarshal.Cast<uint, long>(halves)[0], half)
                .Should().Be(Enumerable.Range(0, halves.Length).Where(i => halves[i] == half).Aggregate(0u, (bits, i) => bits | (1u << i)));
        }
    }

    [Fact]
    public void Bucket_search_finds_exactly_the_entries_with_a_tag_and_the_first_of_them()
    {
        var random = new Random(3);
        var entries = new long[HashBucket.Entries];
        for (var round = 0; round < 1000; round++)
        {
            // Few different parts, so that wrong parts of an entry match too.
            for (var i = 0; i < entries.Length; i++)
            {
                entries[i] = (long)(((ulong)random.Next(2) << 63) | ((ulong)random.Next(3) << 49) | ((ulong)random.Next(2) << 47) | ((ulong)random.Next(2) << 15) | ((ulong)random.Next(3) << 1));
            }

            var hash = (ulong)random.Next(3) << 43;
            var tag = HashEntry.ValueTagOf(Vector128.CreateScalar(hash));
            var matching = Enumerable.Range(0, entries.Length).Where(i => (entries[i] & (HashEntry.TagMask | HashEntry.TombstoneBit)) == HashEntry.TagOf(hash)).ToArray();

            var found = HashBucket.FindTag(in entries[0], tag);

            found.Should().Be(matching.Aggregate(0u, (bits, i) => bits | (8u << (4 * i))));
            if (matching.Length > 0)
            {
                Unsafe.AreSame(ref HashBucket.FirstOf(ref entries[0], found), ref entries[matching[0]]).Should().BeTrue();
            }
        }
    }

    [Fact]
    public async Task Keys_that_come_and_go_by_the_thousand_are_found_exactly_while_they_are_there()
    {
        // Enough keys for most buckets to overflow now and then, and for deleted entries to be used again.
        await using var kv = KvNamespace.Create("KV");
        var random = new Random(2);
        var there = new HashSet<string>();
        for (var step = 0; step < 20_000; step++)
        {
            var name = s_names[random.Next(s_names.Length)];
            if (random.Next(2) == 0)
            {
                await kv.PutAsync(name, name);
                there.Add(name);
            }
            else
            {
                await kv.DeleteAsync(name);
                there.Remove(name);
            }
        }

        s_names.Where(name => kv.TryGet(name, out var value) && value.GetText() == name).Should().BeEquivalentTo(there);
        s_names.Where(name => kv.TryGet(Encoding.UTF8.GetBytes(name), out _)).Should().HaveCount(there.Count);
        kv.Count.Should().Be(there.Count);
    }

    [Fact]
    public async Task Every_key_is_found_after_tables_grew_through_all_sizes_and_shrank_again()
    {
        // Beyond 200,000 keys a table reads them again to grow; up to there it does so four doublings earlier.
        const int Keys = 300_000;
        var time = new FakeTimeProvider();
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });
        for (var i = 0; i < Keys; i++)
        {
            await kv.PutAsync($"key {i}", BitConverter.GetBytes(i));
        }

        bool IsThere(int i) => kv.TryGet($"key {i}", out var value) && BitConverter.ToInt32(value.GetBytes().Span) == i;

        Enumerable.Range(0, Keys).Count(IsThere).Should().Be(Keys);

        for (var left = Keys; left > 10; left /= 10)
        {
            for (var i = left / 10; i < left; i++)
            {
                await kv.DeleteAsync($"key {i}");
            }

            time.Advance(TimeSpan.FromSeconds(1));
            Enumerable.Range(0, Keys).Where(IsThere).Should().Equal(Enumerable.Range(0, left / 10));
        }
    }

    [Fact]
    public async Task A_search_in_a_table_that_is_being_replaced_begins_again()
    {
        var segments = new SegmentTable();
        var index = new HashIndex(segments);
        var key = Encoding.UTF8.GetBytes("key");
        Insert(index, segments, key);
        var shard = HashIndex.ShardOf(KeyHash.OfUtf8(key));

        // As in the middle of a replacement: the entry is a moved marker already, and empty entries behind it are not.
        MarkMoved(index, shard);
        var search = Task.Run(() => index.TryFind(new Utf8Key(key), out _, out _));
        var first = await Task.WhenAny(search, Task.Delay(20));
        lock (index.LockOf(shard))
        {
            index.ResizeHoldingLock(shard, HashIndex.EntriesMin);
        }

        first.Should().NotBeSameAs(search, "a probe that has seen a moved marker knows nothing yet");
        (await search).Should().BeFalse("the new table has no key");
    }

    [Fact]
    public async Task A_key_that_stays_is_found_while_its_table_is_replaced_again_and_again()
    {
        const int Staying = 200;
        for (var round = 0; round < 5; round++)
        {
            await using var kv = KvNamespace.Create("KV");
            for (var i = 0; i < Staying; i++)
            {
                await kv.PutAsync(s_names[i], "there");
            }

            using var start = new Barrier(2);
            var isDone = false;
            var missed = 0;
            var reader = new Thread(() =>
            {
                start.SignalAndWait();
                while (!Volatile.Read(ref isDone))
                {
                    for (var i = 0; i < Staying; i++)
                    {
                        missed += kv.TryGet(s_names[i], out _) ? 0 : 1;
                    }
                }
            });
            reader.Start();
            start.SignalAndWait();
            for (var i = Staying; i < s_names.Length; i++)
            {
                await kv.PutAsync(s_names[i], "new");
            }

            Volatile.Write(ref isDone, true);
            reader.Join();
            missed.Should().Be(0);
        }
    }

    private static void Insert(HashIndex index, SegmentTable segments, byte[] name)
    {
        var key = new Utf8Key(name);
        var draft = segments.Reserve(Record.SizeFor(name.Length, 0, 0));
        draft.Record.Initialize(name.Length, 0, 0, default);
        key.CopyTo(draft.Record.DraftKey);
        lock (index.LockOf(HashIndex.ShardOf(key.Hash)))
        {
            index.TryFindSlotHoldingLock(key, out var slot, out _).Should().BeFalse();
            var entries = index.EntriesOf(HashIndex.ShardOf(key.Hash));
            entries[slot] = HashEntry.TagOf(key.Hash) | draft.Address | HomeBucket.Of(key.Hash, slot, entries.Length);
        }
    }

    private static void MarkMoved(HashIndex index, int shard)
    {
        foreach (ref var entry in index.EntriesOf(shard))
        {
            if (entry != HashEntry.Empty)
            {
                Volatile.Write(ref entry, HashEntry.Moved);
            }
        }
    }

    private static uint Expected(long[] bucket, long mask, long value)
    {
        var expected = 0u;
        for (var i = 0; i < bucket.Length; i++)
        {
            expected |= (bucket[i] & mask) == value ? 1u << i : 0;
        }

        return expected;
    }
}
