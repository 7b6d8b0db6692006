using KvStore.Engine;

namespace KvStore.Replication;

/// <summary>
/// A mutation that is about to be made in a region: how long it will travel to each other one. Hears of its publication,
/// and puts it on its way.
/// </summary>
internal sealed class Departure(InFlightTable inFlight, Region origin, long number, long[] lagTicks) : PublicationObserver
{
    /// <summary>Where the mutation is made.</summary>
    public Region Origin { get; } = origin;

    /// <summary>Its number among all that were made since the namespace was opened.</summary>
    public long Number { get; } = number;

    /// <summary>When it was made, by the right clock.</summary>
    public long WrittenTicks { get; set; }

    /// <summary>Whether readers of the engine can see it, or something newer.</summary>
    public bool IsPublished { get; set; }

    /// <summary>The key that it put or left in flight; null when every region has heard everything.</summary>
    public InFlightKey? InFlight { get; set; }

    /// <summary>When it arrives in a region if it sets out at a time.</summary>
    public long DueTicks(Region to, long startTicks)
    {
        var lag = lagTicks[to.Index];
        return lag >= Backlog.Held - startTicks ? Backlog.Held : startTicks + lag;
    }

    public override bool OnPublishing(
        ReadOnlySpan<byte> key, ulong hash, Record before, Record after, long revision, bool isNewest) =>
        inFlight.Publish(this, key, hash, before, after, revision, isNewest);

    /// <summary>To be called once, when the publication is over and readers can see it.</summary>
    public void Complete()
    {
        if (InFlight is { } key)
        {
            inFlight.Complete(this, key);
        }
    }
}
