using KvStore.Records;

namespace KvStore.Order;

/// <summary>Receives the records of a listing in the order of their keys, while they are in the processor's cache.</summary>
internal interface IRecordSink
{
    /// <summary>How many more records the sink takes.</summary>
    int Room { get; }

    /// <summary>The key of the last record that was taken; empty before the first.</summary>
    ReadOnlySpan<byte> LastKey { get; }

    /// <summary>Takes a record, unless the sink is full.</summary>
    /// <returns>Whether the sink takes more records.</returns>
    bool Offer(Record record);
}

/// <summary>A sink that keeps the records in a span.</summary>
/// <param name="results">The span.</param>
internal ref struct RecordSpanSink(Span<Record> results) : IRecordSink
{
    private readonly Span<Record> _results = results;

    /// <summary>The number of records that were taken.</summary>
    public int Count { get; private set; }

    public readonly int Room => _results.Length - Count;

    public readonly ReadOnlySpan<byte> LastKey => Count == 0 ? default : _results[Count - 1].Key;

    public bool Offer(Record record)
    {
        _results[Count++] = record;
        return Count < _results.Length;
    }
}
