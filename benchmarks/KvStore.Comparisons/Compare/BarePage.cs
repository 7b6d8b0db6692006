using KvStore.Index;
using KvStore.Records;
using KvStore.Segments;
using Record = KvStore.Records.Record;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// A lower bound of a page of a list: records at random addresses, in a known order, become an array of names. There is no search,
/// there are no leaves, and no record changes. So it is not a store.
/// </summary>
internal sealed class BarePage
{
    // As the ordered index does.
    private const int FetchAhead = 24;
    private const int FetchAtOnce = 8;

    private readonly Record[] _inOrder;

    public BarePage(int keys)
    {
        var size = Record.SizeFor(keyBytes: 24, metadataBytes: 0, Workload.ValueBytes);
        var perSegment = RecordAddress.SegmentBytesMax / size;
        _inOrder = new Record[keys];
        var segment = Array.Empty<byte>();
        for (var i = 0; i < keys; i++)
        {
            if (i % perSegment == 0)
            {
                segment = GC.AllocateUninitializedArray<byte>(RecordAddress.SegmentBytesMax);
            }

            var record = new Record(segment, i % perSegment * size);
            record.Initialize(keyBytes: 24, metadataBytes: 0, Workload.ValueBytes, deadline: default);
            System.Text.Encoding.ASCII.GetBytes(Workload.Key(i), record.DraftKey);
            _inOrder[i] = record;
        }

        new Random(3).Shuffle(_inOrder);
    }

    /// <summary>A page from a position on.</summary>
    public int Read(int first, int count)
    {
        var records = _inOrder.AsSpan(first, count);
        var keys = new KvListKey[count];
        Fetch(records[..Math.Min(FetchAhead + FetchAtOnce, count)]);
        for (var i = 0; i < keys.Length; i++)
        {
            if (i % FetchAtOnce == 0)
            {
                Fetch(records[Math.Min(i + FetchAhead, count)..Math.Min(i + FetchAhead + FetchAtOnce, count)]);
            }

            keys[i] = new KvListKey(Utf8Text.Decode(records[i].Key));
        }

        return keys.Length;
    }

    private static void Fetch(ReadOnlySpan<Record> records)
    {
        foreach (ref readonly var record in records)
        {
            HashIndex.Prefetch(record.Segment, record.Offset, keyBytes: 24);
        }
    }
}
