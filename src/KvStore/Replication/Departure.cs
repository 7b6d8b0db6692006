using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;

namespace KvStore.Replication;

/// <summary>
/// A mutation that is about to be made in a region: how long it will travel to each other one. Hears of its publication,
/// and puts it on its way.
/// </summary>
/// <remarks>Thread safety: it belongs to whoever makes the mutation, one call after the other.</remarks>
internal sealed class Departure(InFlightTable inFlight, Region origin, RegionCache? cache, long number, long[] lagTicks) : PublicationObserver
{
    private InFlightKey? _inFlightKey;

    /// <summary>Where the mutation is made.</summary>
    public Region Origin { get; } = origin;

    /// <summary>Its number among all that were made since the namespace was opened.</summary>
    public long Number { get; } = number;

    /// <summary>When it was made, by the right clock.</summary>
    public long WrittenTicks { get; set; }

    /// <summary>Whether readers of the engine can see it, or something newer.</summary>
    public bool IsPublished { get; set; }

    /// <summary>Whether it wins over what its region has not heard of, where that was decided before the publication.</summary>
    public bool? Wins { get; private set; }

    /// <summary>When it arrives in a region if it sets out at a time.</summary>
    public long DueTicks(Region to, long startTicks)
    {
        var lag = lagTicks[to.Index];
        return lag >= Backlog.Held - startTicks ? Backlog.Held : startTicks + lag;
    }

    /// <summary>Whether some region has not heard everything about a key.</summary>
    public bool IsInFlight<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct => inFlight.Contains(key);

    /// <summary>
    /// Decides now, and for good, whether the mutation wins over what its region has not heard of: before it is made durable,
    /// so that only winners are.
    /// </summary>
    public bool Decide<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var wins = inFlight.WouldWin(this, key);
        Wins = wins;
        return wins;
    }

    /// <summary>Decides that the mutation loses: one that was called later was made before it.</summary>
    public void Lose() => Wins = false;

    public override bool OnPublishing(
        ReadOnlySpan<byte> key, ulong hash, Record before, Record after, long revision, bool isNewest) =>
        inFlight.Publish(this, key, hash, before, after, revision, isNewest, out _inFlightKey);

    /// <summary>To be called once, when the publication is over and readers can see it.</summary>
    public void Complete<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        if (_inFlightKey is not null)
        {
            inFlight.Complete(this, _inFlightKey);
            _inFlightKey = null;
        }

        cache?.Drop(key);
    }
}
