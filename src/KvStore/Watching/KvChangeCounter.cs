using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using KvStore.Keys;
using KvStore.Watching;

namespace KvStore;

/// <summary>
/// Counts the changes of the keys that begin with a prefix, so that a cache of what was made from entries knows without a lookup that an
/// entry has not changed. Made by <see cref="KvNamespace.CountChanges"/>.
/// </summary>
/// <remarks>
/// <para>Take the stamp of a key, then read the entry, then make the object. As long as <see cref="IsUnchanged"/> holds for the stamp, the object is
/// what the entry says. When it does not hold, the key has changed, or another one: compare <see cref="KvValue.Revision"/> of the entry.</para>
/// <para>There are 4,096 counts, each for the keys of one hash, so a change makes one stamp in 4,096 doubtful.</para>
/// <para>Thread safety: all members, from any thread. None takes a lock, except <see cref="Dispose"/>.</para>
/// </remarks>
public sealed class KvChangeCounter : IChangeObserver, IDisposable
{
    // A power of two.
    private const int Counts = 4096;

    private readonly long[] _counts = new long[Counts];
    private readonly ChangeFeed _feed;
    private readonly WatchedKeys _keys;
    private readonly WatcherHandle _handle;

    internal KvChangeCounter(ChangeFeed feed, WatchedKeys keys)
    {
        _feed = feed;
        _keys = keys;
        _handle = new WatcherHandle(this);
    }

    WatchedKeys IChangeObserver.Keys => _keys;

    WatcherHandle IChangeObserver.Handle => _handle;

    /// <summary>The count of a key. Take it before the entry is read.</summary>
    /// <param name="utf8Key">The key in UTF-8. Only keys that begin with the prefix are counted.</param>
    /// <returns>The stamp, for <see cref="IsUnchanged"/>.</returns>
    public KvChangeStamp StampOf(ReadOnlySpan<byte> utf8Key)
    {
        var slot = SlotOf(KeyHash.OfUtf8(utf8Key));
        return new KvChangeStamp(slot, Volatile.Read(ref _counts[slot]));
    }

    /// <summary>
    /// Whether the key of a stamp has not changed since. A put, touch, delete, expiration or eviction is counted after readers see it, and
    /// before its task completes. Disposing the namespace counts as a change of every key.
    /// </summary>
    /// <param name="stamp">A stamp of this counter. The default never holds.</param>
    /// <returns>False when the key may have changed.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsUnchanged(in KvChangeStamp stamp)
    {
        var counts = _counts;
        return (uint)stamp.Slot < (uint)counts.Length && Volatile.Read(ref counts[stamp.Slot]) == stamp.Count;
    }

    bool IChangeObserver.Note(in KeyChange change)
    {
        Interlocked.Increment(ref _counts[SlotOf(change.Hash)]);
        return false;
    }

    void IChangeObserver.Close()
    {
        for (var slot = 0; slot < Counts; slot++)
        {
            Interlocked.Increment(ref _counts[slot]);
        }
    }

    /// <summary>Ends the counting: stamps say nothing any more.</summary>
    public void Dispose() => _feed.Remove(this);

    private static int SlotOf(ulong hash) => (int)(hash >> 40) & (Counts - 1);
}

/// <summary>The count of a key's changes at one moment: see <see cref="KvChangeCounter.StampOf"/>.</summary>
[SuppressMessage("Design", "CA1066:Implement IEquatable", Justification = "Compared by the counter that made it.")]
public readonly struct KvChangeStamp
{
    // One more than the slot, so that the default is none.
    private readonly int _oneMore;

    internal KvChangeStamp(int slot, long count)
    {
        _oneMore = slot + 1;
        Count = count;
    }

    internal int Slot => _oneMore - 1;

    internal long Count { get; }
}
