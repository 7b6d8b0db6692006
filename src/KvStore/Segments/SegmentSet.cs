using System.Numerics;
using System.Runtime.CompilerServices;
using KvStore.Diagnostics;
using KvStore.Index;

namespace KvStore.Segments;

/// <summary>Some of the segments of a table, for asking of a million addresses whether each lies in one of them.</summary>
internal sealed class SegmentSet
{
    // By the low bits of their numbers, as in the segment table, where no two segments share a slot. One that was added to the
    // table since may share one here, so the whole number is compared.
    private readonly int[] _ids;

    public SegmentSet(List<Segment> segments, int slotCount)
    {
        AllocationProbe.Before();
        _ids = new int[BitOperations.RoundUpToPowerOf2((uint)slotCount)];
        foreach (var segment in segments)
        {
            _ids[segment.Id & (_ids.Length - 1)] = segment.Id;
        }
    }

    /// <summary>Whether an address lies in one of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Contains(long address)
    {
        var id = HashEntry.SegmentIdOf(address);
        return _ids[id & (_ids.Length - 1)] == id;
    }
}
