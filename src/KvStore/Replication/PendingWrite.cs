using System.Diagnostics;
using KvStore.Records;

namespace KvStore.Replication;

/// <summary>Where a write is made, and how long its delivery to each other region takes.</summary>
/// <param name="Region">The region.</param>
/// <param name="Number">The position of the write among all writes since the namespace was opened, from 1.</param>
/// <param name="LagTicks">The lag to each region, by <see cref="Replication.Region.Index"/>.</param>
internal readonly record struct WriteOrigin(Region Region, long Number, long[] LagTicks)
{
    /// <summary>The time of a delivery that waits until a region is connected again.</summary>
    public const long HeldBack = long.MaxValue;

    /// <summary>When a write that is sent at a time is delivered to a region; at the most <see cref="HeldBack"/>.</summary>
    public long DueTicks(Region to, long sentTicks)
    {
        var lag = LagTicks[to.Index];
        return lag >= HeldBack - sentTicks ? HeldBack : sentTicks + lag;
    }
}

/// <summary>
/// A write that some region has not received. All regions that have not received it, or still show it, share this object.
/// </summary>
/// <remarks>
/// The record is a view of a segment: nothing is copied, and the segment stays alive as long as the write is kept. Thread safety:
/// none; it is changed under the lock of its key's stripe.
/// </remarks>
internal sealed class PendingWrite(Record record, long revision, WriteOrigin origin)
{
    private int _references;
    private KvLargeValue? _lease;

    /// <summary>The record; none for a delete.</summary>
    public Record Record { get; } = record;

    /// <summary>The revision. The higher one wins between equal stamps.</summary>
    public long Revision { get; } = revision;

    /// <summary>Where the write was made. Not set for <see cref="Baseline"/>.</summary>
    public WriteOrigin Origin { get; } = origin;

    /// <summary>When the write was made, in ticks of the namespace's clock, without skew.</summary>
    public long WrittenTicks { get; set; }

    /// <summary>
    /// When the write was made, in ticks of its region's clock, but never before the stamp of the write of this key that its region
    /// showed. The higher stamp wins.
    /// </summary>
    public long Stamp { get; set; }

    /// <summary>Whether readers of the engine can see the write, or a newer one.</summary>
    public bool IsPublished { get; set; }

    /// <summary>
    /// Creates the write that stands for the state before any pending write of a key. It is older than every other write.
    /// </summary>
    public static PendingWrite Baseline(Record record) =>
        new(record, record.IsNone ? 0 : record.Revision, origin: default) { Stamp = long.MinValue, IsPublished = true };

    /// <summary>
    /// Keeps the file of a large value readable, although the value may be replaced, until the last <see cref="Release"/>.
    /// </summary>
    public void KeepFile(KvLargeValue? lease)
    {
        Debug.Assert(_lease is null && _references > 0, "A write has one lease, which the last release disposes.");
        _lease = lease;
    }

    /// <summary>Counts a user: a key, a region that shows the write, or a region that has not received it.</summary>
    public void Retain() => _references++;

    /// <summary>Ends what <see cref="Retain"/> began.</summary>
    public void Release()
    {
        Debug.Assert(_references > 0, "A write is released once for each time that it was retained.");
        if (--_references == 0)
        {
            _lease?.Dispose();
        }
    }

    /// <summary>Whether this write wins over another write of the key.</summary>
    public bool IsNewerThan(PendingWrite other) =>
        Stamp != other.Stamp ? Stamp > other.Stamp : Revision > other.Revision;
}
