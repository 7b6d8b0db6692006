using System.Runtime.CompilerServices;
using KvStore.Records;
using KvStore.Values;

namespace KvStore.Memory;

/// <summary>Views on records for callers and for persistence providers.</summary>
internal static class RecordViews
{
    /// <summary>A view on a record whose value is outside memory.</summary>
    public static KvValue ToValue(this Record record, LargeValueView value) => new(value, record.Offset);

    /// <summary>A view on a record whose value is in memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KvValue ToValue(this Record record) => new(record.Segment, record.Offset);

    /// <summary>A view on a record as a mutation. Nothing is copied.</summary>
    /// <param name="record">The record.</param>
    /// <param name="revision">The revision of the mutation.</param>
    /// <param name="touchedRevision">See <see cref="KvMutation.TouchedRevision"/>.</param>
    public static KvMutation ToMutation(this Record record, long revision, long touchedRevision = 0)
    {
        var keyOffset = record.Offset + Record.HeaderBytes;
        var metadataOffset = keyOffset + record.KeyBytes;
        return new KvMutation
        {
            Key = new ReadOnlyMemory<byte>(record.Segment, keyOffset, record.KeyBytes),
            Metadata = new ReadOnlyMemory<byte>(record.Segment, metadataOffset, record.MetadataBytes),
            Value = record.IsLarge
                ? default
                : new ReadOnlyMemory<byte>(record.Segment, metadataOffset + record.MetadataBytes, record.ValueBytes),
            LargeValue = record.LargeValue,
            Revision = revision,
            TouchedRevision = touchedRevision,
            IsDelete = record.IsTombstone,
            DeadlineSeconds = record.Deadline.Seconds,
            DeadlineRounding = record.Deadline.Rounding,
        };
    }
}
