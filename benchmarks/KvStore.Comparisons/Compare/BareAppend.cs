using System.Text;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using Record = KvStore.Records.Record;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// The least that a put into log-structured memory can do: no lock, no search, no order, no cleaning. Half as many records
/// again as there are keys find room, then the first ones are written over, live or not: it is a bound and no store.
/// </summary>
internal sealed class BareAppend
{
    private readonly byte[][] _segments;

    // As many as the tables of a namespace of this size have.
    private readonly long[] _words;
    private int _segment;
    private int _tail;

    public BareAppend(int keys)
    {
        var bytes = (long)keys * Record.SizeFor(keyBytes: 24, metadataBytes: 0, Workload.ValueBytes) * 3 / 2;
        _segments = new byte[(bytes / HashEntry.SegmentBytesMax) + 2][];
        _words = new long[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)keys) * 2];

        // Not in the measured time: they are small beside the records.
        _words.AsSpan().Clear();
    }

    public int Position => _tail;

    public void Put(string key, byte[] value)
    {
        KeyHash.TryOfAscii(key, out var hash);
        var size = Record.SizeFor(key.Length, metadataBytes: 0, value.Length);
        if (_tail + size > HashEntry.SegmentBytesMax || _segments[_segment] is null)
        {
            Next();
        }

        var record = new Record(_segments[_segment], _tail);
        record.Initialize(key.Length, metadataBytes: 0, value.Length, deadline: default);
        Encoding.ASCII.GetBytes(key, record.DraftKey);
        value.CopyTo(record.DraftValue);
        ref var word = ref _words[hash & (ulong)(_words.Length - 1)];
        if (word != 0)
        {
            new Record(_segments[HashEntry.SegmentIdOf(word) - 1], HashEntry.OffsetOf(word)).MarkDead();
        }

        word = HashEntry.AddressOf(_segment + 1, _tail);
        _tail += size;
    }

    private void Next()
    {
        if (_segments[_segment] is not null)
        {
            _segment = (_segment + 1) % _segments.Length;
        }

        _segments[_segment] ??= GC.AllocateUninitializedArray<byte>(HashEntry.SegmentBytesMax);
        _tail = 0;
    }
}
