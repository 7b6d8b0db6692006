using System.Runtime.CompilerServices;
using KvStore.Records;

namespace KvStore.Values;

/// <summary>Views on records for callers.</summary>
internal static class RecordViews
{
    /// <summary>A view on a record whose value is outside memory.</summary>
    public static KvValue ToValue(this Record record, LargeValueView value) => new(value, record.Offset);

    /// <summary>A view on a record whose value is in memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KvValue ToValue(this Record record) => new(record.Segment, record.Offset);
}
