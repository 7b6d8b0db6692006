using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// Chooses what is evicted: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023) with a small queue of
/// adaptive size, as ARC adapts its lists (Megiddo and Modha, FAST 2003).
/// </summary>
/// <remarks>
/// <para>New records stand in the small queue. One that reaches its end and was used moves to the main queue; one that was not used
/// leaves, and its key is remembered. One that reaches the end of the main queue stays there as often as it was used, and then leaves.
/// A key that is written while it is remembered as one that left the small queue goes to the main queue at once.</para>
/// <para>A key that is missed soon after it left the small queue says that the small queue is too short, and one that left the main
/// queue, that it is too long: so the small queue has 2 % of the memory where popularity lasts, and up to 60 % where it changes. Where
/// it is long, popularity does not last, so a record stays once for all of its uses.</para>
/// <para>Segments are the unit: a queue is a list of segments, and a record that stays is copied, as the cleaner does. This class knows
/// no segments and no records, so that a test can compare it with a simple model.</para>
/// <para>Thread safety: <see cref="QueueOf"/> from any thread; everything else by one thread at a time.</para>
/// </remarks>
internal sealed class EvictionPolicy
{
    private const double SmallShareMin = 0.02;
    private const double SmallShareMax = 0.6;
    private const double SmallShareFirst = 0.1;

    // From here on recent use counts more than frequent use.
    private const double RecencyShare = 0.1;
    private const double RememberedShareMin = 0.1;

    // How many entries' worth the small queue grows or shrinks by for a key that is missed.
    private const double Step = 2;

    private readonly GhostTable _ghosts = new();
    private double _smallShare = SmallShareFirst;
    private int _entries = 1;

    /// <summary>The bytes that keys are remembered in.</summary>
    public long Bytes => _ghosts.Bytes;

    /// <summary>The share of memory that the small queue should have.</summary>
    public double SmallShare => Volatile.Read(ref _smallShare);

    private bool PrefersRecent => SmallShare > RecencyShare;

    private int SmallRemembered => (int)(_entries * Math.Max(RememberedShareMin, 1 - SmallShare));

    private int MainRemembered => (int)(_entries * Math.Max(RememberedShareMin, SmallShare));

    /// <summary>The queue for a record of a key that is written. A key that was evicted not long ago adapts the queues.</summary>
    public SegmentQueue QueueOf(ulong hash)
    {
        if (!_ghosts.TryTake(hash, SmallRemembered, MainRemembered, out var left))
        {
            return SegmentQueue.Small;
        }

        var small = Math.Max(1.0, _ghosts.CountOf(SegmentQueue.Small, SmallRemembered));
        var main = Math.Max(1.0, _ghosts.CountOf(SegmentQueue.Main, MainRemembered));
        var change = left == SegmentQueue.Small ? Math.Max(1, main / small) : -Math.Max(1, small / main);

        // Two threads may adapt it at once; then one change is lost.
        Volatile.Write(ref _smallShare, Math.Clamp(SmallShare + (change * Step / _entries), SmallShareMin, SmallShareMax));
        return left == SegmentQueue.Small || PrefersRecent ? SegmentQueue.Main : SegmentQueue.Small;
    }

    /// <summary>The queue whose oldest records leave next.</summary>
    /// <param name="smallBytes">The bytes of the small queue.</param>
    /// <param name="mainBytes">The bytes of the main queue.</param>
    public SegmentQueue Next(long smallBytes, long mainBytes) =>
        mainBytes == 0 || smallBytes > SmallShare * (smallBytes + mainBytes) ? SegmentQueue.Small : SegmentQueue.Main;

    /// <summary>Decides about a record at the end of its queue.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="uses">How often it was used.</param>
    /// <param name="usesAfter">How many uses it has left, if it stays.</param>
    /// <returns>Whether it stays, at the beginning of the main queue.</returns>
    public bool Keeps(SegmentQueue queue, int uses, out int usesAfter)
    {
        usesAfter = queue == SegmentQueue.Small || PrefersRecent ? 0 : Math.Max(0, uses - 1);
        return uses > 0;
    }

    /// <summary>Remembers a key that was evicted.</summary>
    public void NoteEvicted(ulong hash, SegmentQueue queue) => _ghosts.Add(hash, queue);

    /// <summary>Says how many entries there are, so that as many keys are remembered.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory to remember more; it goes on as before.</exception>
    public void SetEntries(long entries)
    {
        var count = (int)Math.Clamp(entries, 1, int.MaxValue / 2);
        if (count > _ghosts.KeysMax || count < _ghosts.KeysMax / 4)
        {
            // Some more, so that it is not done again for every few entries.
            _ghosts.Resize((int)Math.Min(count * 9L / 8, int.MaxValue / 2));
        }

        Volatile.Write(ref _entries, count);
    }
}
