using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>Moves entries from one segment to another.</summary>
internal static class Relocation
{
    /// <summary>Makes a copy the record of its entry, or gives it up where the entry has changed since.</summary>
    /// <param name="relocate">Moves the entry.</param>
    /// <param name="record">The record.</param>
    /// <param name="address">Its address.</param>
    /// <param name="copy">The copy, which is complete.</param>
    public static void Complete(RelocateRecord relocate, Record record, long address, in RecordDraft copy)
    {
        if (record.Deadline is { IsNone: false } deadline)
        {
            copy.Segment.NoteDeadline(deadline.EarliestSecond);
        }

        if (relocate(record, address, copy))
        {
            copy.Segment.Settle(copy.Record.SizeInSegment);
        }
        else
        {
            // Overwritten or removed meanwhile. A large value belongs to the original.
            copy.Discard();
        }
    }
}

/// <summary>Makes a copy of a record the newest record of its key, if the record still is.</summary>
/// <param name="record">The record.</param>
/// <param name="address">Its address.</param>
/// <param name="copy">The copy.</param>
/// <returns>Whether it was.</returns>
internal delegate bool RelocateRecord(Record record, long address, in RecordDraft copy);
