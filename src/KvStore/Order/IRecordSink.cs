using KvStore.Records;

namespace KvStore.Order;

/// <summary>What a listing hands its records to, in the order of their keys, while the processor still has them near.</summary>
internal interface IRecordSink
{
    /// <summary>How many more are wanted; what is found beyond that is not asked for.</summary>
    int Room { get; }

    /// <summary>The key of the last that was taken; empty before the first.</summary>
    ReadOnlySpan<byte> LastKey { get; }

    /// <summary>Takes a record, if there is room for it.</summary>
    /// <returns>Whether more are wanted.</returns>
    bool Offer(Record record);
}

/// <summary>Keeps the records.</summary>
/// <param name="results">Where.</param>
internal ref struct RecordSpanSink(Span<Record> results) : IRecordSink
{
    private readonly Span<Record> _results = results;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    public readonly int Room => _results.Length - Count;

    public readonly ReadOnlySpan<byte> LastKey => Count == 0 ? default : _results[Count - 1].Key;

    public bool Offer(Record record)
    {
        _results[Count++] = record;
        return Count < _results.Length;
    }
}
