using FsCheck;
using FsCheck.Fluent;
using KvStore.Memory;
using KvStore.Segments;

namespace KvStore.Tests.Budget;

/// <summary>The choice of victims, one entry at a time, beside a model of the same rules that remembers keys exactly.</summary>
public sealed class EvictionPolicyTests
{
    private const int Capacity = 1000;

    [Fact]
    public void Policy_hits_as_often_as_the_model() =>
        Prop.ForAll<int, byte, bool>(static (seed, skew, shifts) =>
        {
            var trace = Zipf(seed, 0.6 + (skew % 60 / 100.0), shifts);
            var policy = Play(trace, new OfPolicy());
            var model = Play(trace, new OfModel());
            return (Math.Abs(policy - model) < trace.Length * 0.01).Label($"policy {policy}, model {model} of {trace.Length}");
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(20));

    [Theory]
    [InlineData(0.8, false)]
    [InlineData(0.99, false)]
    [InlineData(0.99, true)]
    public void Policy_hits_at_least_nearly_as_often_as_least_recently_used(double exponent, bool shifts)
    {
        var trace = Zipf(1, exponent, shifts);

        Play(trace, new OfPolicy()).Should().BeGreaterThan(Play(trace, new OfLeastRecentlyUsed()) - (trace.Length / 200));
    }

    [Fact]
    public void Keys_read_in_a_loop_that_is_larger_than_the_memory_do_not_all_leave()
    {
        var trace = Enumerable.Range(0, 40 * Capacity).Select(i => i % (Capacity * 11 / 10)).ToArray();

        Play(trace, new OfLeastRecentlyUsed()).Should().Be(0);
        Play(trace, new OfPolicy()).Should().BeGreaterThan(trace.Length / 2);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(100_000)]
    public void Ghosts_are_remembered_until_as_many_others_were_added(int keys)
    {
        var ghosts = new GhostTable();
        ghosts.Resize(keys);
        for (var i = 0; i < keys; i++)
        {
            ghosts.Add(HashOf(i), SegmentQueue.Small);
        }

        var remembered = Enumerable.Range(0, keys).Count(i => ghosts.TryTake(HashOf(i), keys, keys, out var queue) && queue == SegmentQueue.Small);
        remembered.Should().BeGreaterThan(keys * 8 / 10);
        Enumerable.Range(0, keys).Count(i => ghosts.TryTake(HashOf(i), keys, keys, out _)).Should().Be(0, "a ghost is taken once");
    }

    [Fact]
    public void Ghosts_are_forgotten_when_many_others_were_added()
    {
        const int Keys = 10_000;
        var ghosts = new GhostTable();
        ghosts.Resize(Keys);
        for (var i = 0; i < 3 * Keys; i++)
        {
            ghosts.Add(HashOf(i), SegmentQueue.Main);
        }

        Enumerable.Range(0, Keys).Count(i => ghosts.TryTake(HashOf(i), Keys, Keys, out _)).Should().BeLessThan(Keys / 50);
        Enumerable.Range(10 * Keys, Keys).Count(i => ghosts.TryTake(HashOf(i), Keys, Keys, out _)).Should().BeLessThan(Keys / 50, "these were never added");
    }

    private static int[] Zipf(int seed, double exponent, bool shifts)
    {
        const int Keys = 10 * Capacity;
        var random = new System.Random(seed);
        var cumulative = new double[Keys];
        var sum = 0.0;
        for (var i = 0; i < Keys; i++)
        {
            cumulative[i] = sum += 1 / Math.Pow(i + 1, exponent);
        }

        var trace = new int[100_000];
        for (var i = 0; i < trace.Length; i++)
        {
            var found = Array.BinarySearch(cumulative, random.NextDouble() * sum);
            trace[i] = ((found < 0 ? ~found : found) + (shifts ? i / 20_000 * 791 : 0)) % Keys;
        }

        return trace;
    }

    private static int Play(int[] trace, Cache cache) => trace.Count(cache.TryGetOrPut);

    private static ulong HashOf(int key)
    {
        var x = (ulong)key + 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }

    private abstract class Cache
    {
        public abstract bool TryGetOrPut(int key);
    }

    // Two queues of single entries. Who decides is left to the derived class.
    private abstract class TwoQueues : Cache
    {
        private readonly Dictionary<int, Entry> _entries = [];
        private readonly Queue<Entry> _small = new();
        private readonly Queue<Entry> _main = new();

        public override bool TryGetOrPut(int key)
        {
            if (_entries.TryGetValue(key, out var entry))
            {
                entry.Uses = Math.Min(entry.Uses + 1, 3);
                return true;
            }

            while (_entries.Count >= Capacity)
            {
                Evict();
            }

            entry = new Entry(key);
            _entries.Add(key, entry);
            (QueueOf(key) == SegmentQueue.Small ? _small : _main).Enqueue(entry);
            return false;
        }

        protected abstract SegmentQueue QueueOf(int key);

        protected abstract SegmentQueue Next(int small, int main);

        protected abstract bool Keeps(SegmentQueue queue, int uses, out int usesAfter);

        protected abstract void NoteEvicted(int key, SegmentQueue queue);

        private void Evict()
        {
            var queue = Next(_small.Count, _main.Count);
            var entry = (queue == SegmentQueue.Small ? _small : _main).Dequeue();
            if (Keeps(queue, entry.Uses, out var usesAfter))
            {
                entry.Uses = usesAfter;
                _main.Enqueue(entry);
                return;
            }

            _entries.Remove(entry.Key);
            NoteEvicted(entry.Key, queue);
        }

        private sealed class Entry(int key)
        {
            public int Key { get; } = key;

            public int Uses { get; set; }
        }
    }

    private sealed class OfPolicy : TwoQueues
    {
        private readonly EvictionPolicy _policy = new();

        public OfPolicy() => _policy.SetEntries(Capacity);

        protected override SegmentQueue QueueOf(int key) => _policy.QueueOf(HashOf(key));

        protected override SegmentQueue Next(int small, int main) => _policy.Next(small, main);

        protected override bool Keeps(SegmentQueue queue, int uses, out int usesAfter) => _policy.Keeps(queue, uses, out usesAfter);

        protected override void NoteEvicted(int key, SegmentQueue queue) => _policy.NoteEvicted(HashOf(key), queue);
    }

    private sealed class OfModel : TwoQueues
    {
        private readonly Dictionary<int, (SegmentQueue Queue, long Time)> _ghosts = [];
        private readonly long[] _added = new long[2];
        private double _share = 0.1;

        protected override SegmentQueue QueueOf(int key)
        {
            double[] most = [Capacity * Math.Max(0.1, 1 - _share), Capacity * Math.Max(0.1, _share)];
            if (!_ghosts.Remove(key, out var ghost) || _added[(int)ghost.Queue] - ghost.Time > most[(int)ghost.Queue])
            {
                return SegmentQueue.Small;
            }

            var small = Math.Max(1, Math.Min(_added[0], most[0]));
            var main = Math.Max(1, Math.Min(_added[1], most[1]));
            _share += (ghost.Queue == SegmentQueue.Small ? Math.Max(1, main / small) : -Math.Max(1, small / main)) * 2 / Capacity;
            _share = Math.Clamp(_share, 0.02, 0.6);
            return ghost.Queue == SegmentQueue.Small || _share > 0.3 ? SegmentQueue.Main : SegmentQueue.Small;
        }

        protected override SegmentQueue Next(int small, int main) => main == 0 || small > _share * (small + main) ? SegmentQueue.Small : SegmentQueue.Main;

        protected override bool Keeps(SegmentQueue queue, int uses, out int usesAfter)
        {
            usesAfter = queue == SegmentQueue.Small || _share > 0.3 ? 0 : Math.Max(0, uses - 1);
            return uses > 0;
        }

        protected override void NoteEvicted(int key, SegmentQueue queue) => _ghosts[key] = (queue, _added[(int)queue]++);
    }

    private sealed class OfLeastRecentlyUsed : Cache
    {
        private readonly Dictionary<int, LinkedListNode<int>> _nodes = [];
        private readonly LinkedList<int> _order = new();

        public override bool TryGetOrPut(int key)
        {
            if (_nodes.TryGetValue(key, out var node))
            {
                _order.Remove(node);
                _order.AddFirst(node);
                return true;
            }

            if (_nodes.Count >= Capacity)
            {
                _nodes.Remove(_order.Last!.Value);
                _order.RemoveLast();
            }

            _nodes[key] = _order.AddFirst(key);
            return false;
        }
    }
}
