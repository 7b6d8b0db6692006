using KvStore.Diagnostics;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// Remembers the keys that were evicted not long ago, by parts of their hashes: a key that comes back soon should not have left.
/// </summary>
/// <remarks>
/// <para>A bucket of eight slots of four bytes: which queue the key left, when, and 19 bits of its hash. A key that is added takes the
/// place of the oldest one in its bucket. Time is counted in keys that were added to the same queue, so that as many keys are
/// remembered as the caller asks for. After 4096 steps of the time, a slot that was not used since may seem new again; a key that is
/// remembered by mistake costs one entry a place in the main queue.</para>
/// <para>Thread safety: <see cref="TryTake"/> from any thread; <see cref="Add"/> and <see cref="Resize"/> by one thread at a time.</para>
/// </remarks>
internal sealed class GhostTable
{
    private const int BucketSlots = 8;
    private const int TimeBits = 12;
    private const uint TimeMask = (1 << TimeBits) - 1;
    private const uint KindBit = 1u << TimeBits;
    private const int TagShift = TimeBits + 1;

    // Steps of the time in which everything is forgotten.
    private const int Steps = 1 << (TimeBits - 2);

    private readonly long[] _added = new long[2];
    private uint[] _slots = [];
    private int _keysMax;

    /// <summary>The bytes of the table.</summary>
    public long Bytes => Volatile.Read(ref _slots).Length * (long)sizeof(uint);

    /// <summary>The most keys that are remembered of each queue.</summary>
    public int KeysMax => Volatile.Read(ref _keysMax);

    /// <summary>Forgets everything, and remembers another number of keys from now on.</summary>
    /// <param name="keys">How many of each queue at the most.</param>
    public void Resize(int keys)
    {
        // An eighth more than is remembered, because some buckets get more keys than others. Both queues together remember about as many
        // keys as one of them at the most.
        var buckets = Math.Max(1, (int)Math.Min((keys / BucketSlots * 9L / 8) + 1, int.MaxValue / BucketSlots / sizeof(uint)));
        AllocationProbe.Before();
        var slots = new uint[buckets * BucketSlots];
        Volatile.Write(ref _keysMax, keys);
        Volatile.Write(ref _slots, slots);
        Volatile.Write(ref _added[0], 0);
        Volatile.Write(ref _added[1], 0);
    }

    /// <summary>How many keys of a queue are remembered, about, where so many may be.</summary>
    public long CountOf(SegmentQueue queue, int keysMax) => Math.Min(Volatile.Read(ref _added[(int)queue]), keysMax);

    /// <summary>Remembers a key.</summary>
    public void Add(ulong hash, SegmentQueue queue)
    {
        if (_slots.Length == 0)
        {
            return;
        }

        var time = TimeOf(queue);
        var bucket = BucketOf(_slots, hash);
        var oldest = 0;
        var oldestAge = -1L;
        for (var i = 0; i < BucketSlots; i++)
        {
            var slot = bucket[i];
            var age = slot == 0 ? long.MaxValue : AgeOf(slot);
            if (age > oldestAge)
            {
                oldestAge = age;
                oldest = i;
            }
        }

        Volatile.Write(ref bucket[oldest], (TagOf(hash) << TagShift) | (queue == SegmentQueue.Main ? KindBit : 0) | time);
        Volatile.Write(ref _added[(int)queue], _added[(int)queue] + 1);
    }

    /// <summary>Forgets a key, if it is remembered.</summary>
    /// <param name="hash">The hash of the key.</param>
    /// <param name="smallMax">How many keys of the small queue are remembered.</param>
    /// <param name="mainMax">How many keys of the main queue are remembered.</param>
    /// <param name="queue">The queue that it left.</param>
    /// <returns>Whether it was remembered.</returns>
    public bool TryTake(ulong hash, int smallMax, int mainMax, out SegmentQueue queue)
    {
        queue = default;
        var slots = Volatile.Read(ref _slots);
        if (slots.Length == 0)
        {
            return false;
        }

        var tag = TagOf(hash);
        foreach (ref var slot in BucketOf(slots, hash))
        {
            var found = Volatile.Read(ref slot);
            if (found != 0 && found >> TagShift == tag)
            {
                queue = QueueOf(found);
                var isRemembered = AgeOf(found) * KeysOfStep() <= (queue == SegmentQueue.Small ? smallMax : mainMax);

                // Another thread may write the slot meanwhile: then one key too many is forgotten.
                Volatile.Write(ref slot, 0);
                return isRemembered;
            }
        }

        return false;
    }

    private static Span<uint> BucketOf(uint[] slots, ulong hash) => slots.AsSpan(
        (int)(((hash >> 16) & uint.MaxValue) * (ulong)(slots.Length / BucketSlots) >> 32) * BucketSlots, BucketSlots);

    // Bits that do not choose the bucket. Never 0, so that no slot in use is 0.
    private static uint TagOf(ulong hash) => ((uint)(hash >> 45) ^ (uint)(hash & 0xFFFF)) | 1;

    private static SegmentQueue QueueOf(uint slot) => (slot & KindBit) != 0 ? SegmentQueue.Main : SegmentQueue.Small;

    private int KeysOfStep() => Math.Max(1, Volatile.Read(ref _keysMax) / Steps);

    private uint TimeOf(SegmentQueue queue) => (uint)(Volatile.Read(ref _added[(int)queue]) / KeysOfStep()) & TimeMask;

    private long AgeOf(uint slot) => (TimeOf(QueueOf(slot)) - (slot & TimeMask)) & TimeMask;
}
