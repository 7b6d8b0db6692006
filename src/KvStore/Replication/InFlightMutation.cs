using System.Diagnostics;
using KvStore.Records;

namespace KvStore.Replication;

/// <summary>One mutation of which some region has not heard yet. Immutable, and shared by all those regions.</summary>
/// <remarks>
/// The record is a view on a segment: nothing is copied, and the segment stays alive as long as the mutation is in flight.
/// </remarks>
internal sealed class InFlightMutation
{
    private int _holders;

    /// <summary>The record; none for a delete.</summary>
    public required Record Record { get; init; }

    /// <summary>
    /// Its value, when that is kept outside memory: held, so that it stays readable though it is replaced. Given back when the last
    /// one who retained the mutation has released it.
    /// </summary>
    public KvLargeValue? Held { get; init; }

    /// <summary>When it was made, in ticks of the clock of its region, but never before what that region had heard of.</summary>
    public required long Stamp { get; init; }

    /// <summary>Its number. Decides between equal stamps.</summary>
    public required long Revision { get; init; }

    /// <summary>Where and when it was made, and how long it travels; null for what was there before anything was in flight.</summary>
    public required Departure? Departure { get; init; }

    /// <summary>What stands there before anything is in flight: older than every mutation.</summary>
    public static InFlightMutation Standing(Record before, KvLargeValue? held) => new()
    {
        Record = before,
        Held = held,
        Stamp = long.MinValue,
        Revision = before.IsNone ? 0 : before.Revision,
        Departure = null,
    };

    /// <summary>Somebody keeps it: a key, a region that sees it, or one that it is on its way to. Under the lock of the key's stripe.</summary>
    public void Retain() => _holders++;

    /// <summary>Somebody who kept it does not any more. Under the lock of the key's stripe.</summary>
    public void Release()
    {
        Debug.Assert(_holders > 0, "It is released as often as it was retained.");
        if (--_holders == 0)
        {
            Held?.Dispose();
        }
    }

    /// <summary>Whether it wins over another mutation of the key.</summary>
    public bool IsNewerThan(InFlightMutation other) =>
        Stamp != other.Stamp ? Stamp > other.Stamp : Revision > other.Revision;
}
