using System.Buffers.Binary;
using System.Text;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Reads;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Values;
using Xunit.Abstractions;
using Record = KvStore.Records.Record;

namespace KvStore.SoakTests;

/// <summary>
/// Readers, writers and lists at once, while the tables grow and shrink, segments are cleaned, and entries expire, all the
/// time. Each key has one writer, so that everybody knows what may be read.
/// </summary>
public sealed class EngineStressTests(ITestOutputHelper output)
{
    private const int Writers = 3;
    private const int Readers = 2;
    private const int KeysPerWriter = 2_000;

    // About two seconds by default; set the variable to let it run longer.
    private static readonly int s_operations =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_STRESS_OPERATIONS"), out var n) ? n : 400_000;

    private readonly FakeTimeProvider _time = new();
    private volatile bool _isOver;
    private Exception? _failure;

    [Fact]
    public void Every_read_is_whole_and_never_older_than_what_was_read_before()
    {
        using var clock = new CoarseClock(_time);
        using var store = new ShardedStore(clock, _time);
        for (var writer = 0; writer < Writers; writer++)
        {
            PutStable(store, writer);
        }

        var threads = new List<Thread>();
        for (var i = 0; i < Writers; i++)
        {
            var writer = i;
            threads.Add(Start(() => Write(store, writer, new Random(1000 + writer))));
        }

        var writers = threads.ToArray();
        for (var i = 0; i < Readers; i++)
        {
            var seed = i;
            threads.Add(Start(() => Read(store, clock, new Random(2000 + seed))));
        }

        threads.Add(Start(() => ListStable(store)));
        threads.Add(Start(DriveTheClock));
        Array.ForEach(writers, thread => thread.Join());
        _isOver = true;
        threads.ForEach(thread => thread.Join());

        _failure.Should().BeNull();
        output.WriteLine($"{store.Revision:N0} mutations, {store.ExpiredCount:N0} expired, {store.MemoryBytes >> 20} MiB held");
        store.ExpiredCount.Should().BePositive("expiry must have been going on");

        // What is left is what the writers left, and memory follows.
        _time.Advance(TimeSpan.FromSeconds(120));
        store.Count.Should().Be(Writers * Stable);
        store.MemoryBytes.Should().BeLessThan(2 << 20);
    }

    [Fact]
    public void A_key_that_is_deleted_while_it_is_read_is_there_or_not_but_never_empty()
    {
        const string name = "comes and goes";
        using var clock = new CoarseClock(_time);
        using var store = new ShardedStore(clock, _time);
        var threads = Enumerable.Range(0, Readers).Select(_ => Start(() =>
        {
            HalvesKey.TryRead(name, out var key);
            while (!_isOver)
            {
                var looked = store.Index.Probe<HalvesKey, ValueOutcome, KvValue>(key, clock, default);
                Check(!looked.Exists || looked.Length > 0, "a tombstone was read as a value");
                Check(!store.TryFind(key, out Record found) || found.ValueBytes > 0, "a tombstone was found as a value");
            }
        })).ToArray();

        // By numbers of their own, as mutations that had to wait for the disk: so a delete leaves a tombstone.
        for (var n = 1L; !_isOver && n < s_operations; n++)
        {
            Put(store, name, version: n, default);
            store.Bury(new Utf8Key(Encoding.UTF8.GetBytes(name)), store.TakeRevision());
        }

        _isOver = true;
        Array.ForEach(threads, thread => thread.Join());
        _failure.Should().BeNull();
    }

    private const int Stable = 500;

    private static string StableKey(int writer, int i) => $"stable/{writer}/{i:D6}";

    private static void PutStable(ShardedStore store, int writer)
    {
        for (var i = 0; i < Stable; i++)
        {
            Put(store, StableKey(writer, i), 0, default);
        }
    }

    private Thread Start(Action body)
    {
        var thread = new Thread(() =>
        {
            try
            {
                body();
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref _failure, e, null);
                _isOver = true;
            }
        });
        thread.Start();
        return thread;
    }

    // Bursts of new keys make the tables grow, deleting them all makes them shrink, overwrites make segments die.
    private void Write(ShardedStore store, int writer, Random random)
    {
        var versions = new long[KeysPerWriter];
        var least = s_operations / Writers;

        // However fast the writers are, and slow the clock that others drive: not before entries have expired as well. The bound is
        // for a store in which none does though their time has long come.
        var end = _time.GetUtcNow() + TimeSpan.FromSeconds(60);
        for (var n = 0; !_isOver && (n < least || (store.ExpiredCount == 0 && _time.GetUtcNow() < end)); n++)
        {
            if (n % 64 == 0)
            {
                // Nobody writes this one again: the others are mostly overwritten before their time has come.
                Put(store, $"brief/{writer}/{n}", version: 1, new Deadline((uint)_time.GetUtcNow().ToUnixTimeSeconds() + 3));
            }

            var i = random.Next(KeysPerWriter);
            var name = $"churn/{writer}/{i:D6}";
            switch (random.Next(10))
            {
                case < 6:
                    Put(store, name, ++versions[i], default);
                    Check(TryRead(store, name, out var version, out _) && version == versions[i], $"{name}: own put not read");
                    break;
                case < 8:
                    // May expire before it is read, but never reads as anything older.
                    Put(store, name, ++versions[i], new Deadline((uint)_time.GetUtcNow().ToUnixTimeSeconds() + 3));
                    Check(!TryRead(store, name, out version, out _) || version == versions[i], $"{name}: not the own put");
                    break;
                case 8:
                    Delete(store, name);
                    Check(!TryRead(store, name, out _, out _), $"{name}: read after delete");
                    break;
                default:
                    // A stable key is overwritten, never absent.
                    name = StableKey(writer, i % Stable);
                    Put(store, name, ++versions[i], default);
                    Check(TryRead(store, name, out _, out _), $"{name}: stable key absent");
                    break;
            }
        }

        for (var i = 0; i < KeysPerWriter; i++)
        {
            Delete(store, $"churn/{writer}/{i:D6}");
        }
    }

    private void Read(ShardedStore store, CoarseClock clock, Random random)
    {
        var seen = new Dictionary<string, long>();
        var views = new Queue<(string Name, ReadOnlyMemory<byte> Value, byte[] Copy)>();
        while (!_isOver)
        {
            var writer = random.Next(Writers);
            var isStable = random.Next(4) == 0;
            var name = isStable ? StableKey(writer, random.Next(Stable)) : $"churn/{writer}/{random.Next(KeysPerWriter):D6}";
            if (TryRead(store, name, out _, out var record))
            {
                var last = seen.GetValueOrDefault(name);
                Check(record.Revision >= last, $"{name}: revision went back from {last} to {record.Revision}");
                seen[name] = record.Revision;
                if (random.Next(100) == 0)
                {
                    var view = record.ToValue().GetBytes();
                    views.Enqueue((name, view, view.ToArray()));
                }
            }
            else
            {
                Check(!isStable, $"{name}: stable key absent");
            }

            if (isStable && HalvesKey.TryRead(name, out var key))
            {
                // It may not be where it most likely is; but then nothing is said, and never that it is absent.
                var looked = store.Index.Probe<HalvesKey, ValueOutcome, KvValue>(key, clock, default);
                Check(looked.Exists || looked.IsUnknown, $"{name}: stable key absent on the short way");
            }

            if (views.Count > 1000)
            {
                var (owner, view, copy) = views.Dequeue();
                Check(view.Span.SequenceEqual(copy), $"{owner}: a view changed");
            }
        }
    }

    private void ListStable(ShardedStore store)
    {
        var prefix = "stable/"u8.ToArray();
        var page = new Record[97];
        while (!_isOver)
        {
            var names = new List<string>();
            byte[] after = [];
            int found;
            do
            {
                found = store.List(prefix, after, page);
                foreach (var record in page.AsSpan(0, found))
                {
                    names.Add(Encoding.UTF8.GetString(record.Key));
                }

                after = found > 0 ? page[found - 1].Key.ToArray() : after;
            }
            while (found == page.Length);

            var expected = from writer in Enumerable.Range(0, Writers) from i in Enumerable.Range(0, Stable) select StableKey(writer, i);
            Check(names.SequenceEqual(expected), $"a list of what exists throughout had {names.Count} keys");

            // As a caller gets it: names that are made while the leaves may change.
            var listed = new List<string>();
            string? cursor = null;
            do
            {
                var keys = ListPage.Read(store, prefix, ListCursor.Parse(cursor, new KvLimits().KeyBytesMax), limit: 301);
                listed.AddRange(keys.Keys.Select(key => key.Name));
                cursor = keys.Cursor;
            }
            while (cursor is not null);
            Check(listed.SequenceEqual(expected), $"pages of what exists throughout had {listed.Count} keys");

            found = store.List("churn/"u8, after: default, page);
            for (var i = 1; i < found; i++)
            {
                Check(page[i - 1].Key.SequenceCompareTo(page[i].Key) < 0, "a list is out of order");
            }
        }
    }

    private void DriveTheClock()
    {
        while (!_isOver)
        {
            _time.Advance(TimeSpan.FromMilliseconds(250));
            Thread.Yield();
        }
    }

    // The value says which key and version it belongs to, and how long it is; a torn one would not.
    private static void Put(ShardedStore store, string name, long version, Deadline deadline)
    {
        var key = new Utf8Key(Encoding.UTF8.GetBytes(name));
        var length = 24 + (int)((version * 37) % 300);
        var draft = store.Draft(key, metadataBytes: 8, length, deadline);
        BinaryPrimitives.WriteInt64LittleEndian(draft.Record.DraftMetadata, version);
        var value = draft.Record.DraftValue;
        value.Fill((byte)version);
        BinaryPrimitives.WriteInt64LittleEndian(value, version);
        BinaryPrimitives.WriteInt32LittleEndian(value[8..], length);
        BinaryPrimitives.WriteInt32LittleEndian(value[12..], Fingerprint(name));
        store.Publish(key, draft);
    }

    private static void Delete(ShardedStore store, string name) => store.Remove(new Utf8Key(Encoding.UTF8.GetBytes(name)));

    private static bool TryRead(ShardedStore store, string name, out long version, out Record record)
    {
        version = 0;
        if (!KeyHash.TryOfAscii(name, out var hash) || !store.TryFind(new AsciiKey(name, hash), out record))
        {
            record = default;
            return false;
        }

        var value = record.Value;
        version = BinaryPrimitives.ReadInt64LittleEndian(value);
        Check(BinaryPrimitives.ReadInt32LittleEndian(value[8..]) == value.Length, $"{name}: torn length");
        Check(BinaryPrimitives.ReadInt32LittleEndian(value[12..]) == Fingerprint(name), $"{name}: another key's value");
        Check(!value[16..].ContainsAnyExcept((byte)version), $"{name}: torn value");
        Check(BinaryPrimitives.ReadInt64LittleEndian(record.ToValue().Metadata.Utf8Json.Span) == version, $"{name}: torn metadata");
        return true;
    }

    private static int Fingerprint(string name) => name.Aggregate(17, (hash, c) => (hash * 31) + c);

    private static void Check(bool isTrue, string what)
    {
        if (!isTrue)
        {
            throw new InvalidOperationException(what);
        }
    }
}
