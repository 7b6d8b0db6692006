using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Records;

namespace KvStore.Order;

/// <summary>
/// Which records a walk over the ordered index has shown: one bit for every 8 bytes of the segments it has met. With them the hash
/// index tells what the walk has missed.
/// </summary>
/// <remarks>
/// The ordered index is derived; what decides which entries there are is the hash index. A record that the cleaner has moved since
/// it was shown is taken for a missed one, and shown twice. For one walk, on one thread.
/// </remarks>
internal sealed class ShownRecords
{
    private readonly Dictionary<byte[], ulong[]> _bits = new(ReferenceEqualityComparer.Instance);
    private byte[]? _lastSegment;
    private ulong[] _lastBits = [];

    /// <summary>Notes that a record was shown.</summary>
    public void Add(Record record)
    {
        if (record.Segment != _lastSegment)
        {
            Find(record.Segment, adds: true);
        }

        var number = record.Offset / Record.Alignment;
        _lastBits[number / 64] |= 1UL << (number % 64);
    }

    /// <summary>Whether a record was shown.</summary>
    public bool Contains(Record record)
    {
        if (record.Segment != _lastSegment)
        {
            Find(record.Segment, adds: false);
        }

        Debug.Assert(record.Offset % Record.Alignment == 0);
        var number = record.Offset / Record.Alignment;
        return number / 64 < _lastBits.Length && (_lastBits[number / 64] & (1UL << (number % 64))) != 0;
    }

    private void Find(byte[] segment, bool adds)
    {
        if (!_bits.TryGetValue(segment, out var bits))
        {
            bits = [];
            if (adds)
            {
                AllocationProbe.Before();
                bits = new ulong[(segment.Length / Record.Alignment / 64) + 1];
                _bits.Add(segment, bits);
            }
        }

        _lastSegment = segment;
        _lastBits = bits;
    }
}
