using System.Text;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;
using Record = KvStore.Records.Record;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// A lower bound of a put into log-structured memory: no lock, no search, no order, no cleaning. There is space for 1.5 times as many
/// records as keys; then the first records are overwritten, live or not. So it is not a store.
/// </summary>
internal sealed class BareAppend
{
    private readonly byte[][] _segments;

    // As many entries as the tables of a namespace of this size have.
    private readonly long[] _words;
    private int _segment;
    private int _tail;

    public BareAppend(int keys)
    {
        var bytes = (long)keys * Record.SizeFor(keyBytes: 24, metadataBytes: 0, Workload.ValueBytes) * 3 / 2;
        _segments = new byte[(bytes / RecordAddress.SegmentBytesMax) + 2][];
        _words = new long[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)keys) * 2];

        // Not in the measured time, because they are small compared with the records.
        _words.AsSpan().Clear();
    }

    public int Position => _tail;

    public void Put(string key, byte[] value)
    {
        KeyHash.TryOfAscii(key, out var hash);
        var size = Record.SizeFor(key.Length, metadataBytes: 0, value.Length);
        if (_tail + size > RecordAddress.SegmentBytesMax || _segments[_segment] is null)
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
            new Record(_segments[RecordAddress.SegmentIdOf(word) - 1], RecordAddress.OffsetOf(word)).MarkDead();
        }

        word = RecordAddress.Of(_segment + 1, _tail);
        _tail += size;
    }

    private void Next()
    {
        if (_segments[_segment] is not null)
        {
            _segment = (_segment + 1) % _segments.Length;
        }

        _segments[_segment] ??= GC.AllocateUninitializedArray<byte>(RecordAddress.SegmentBytesMax);
        _tail = 0;
    }
}
