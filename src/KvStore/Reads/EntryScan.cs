using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;

namespace KvStore.Reads;

/// <summary>Every entry whose key begins with a prefix, with its value, in the order of the keys: the newest state of a namespace.</summary>
/// <remarks>
/// <para>A cursor finds a batch of records at a time in the ordered index, which prefetches them up to the ends of their keys. The
/// batch prefetches the beginnings of their values. So the cache misses of many records overlap, before the caller sees the first one.</para>
/// <para>A batch keeps the segments of its records in memory, so it is small: a caller may stop for an hour. An entry that was overwritten,
/// deleted or moved since the batch was read is looked up again when it is shown, so what is shown is never old.</para>
/// <para>The next batch begins after the last key of the one before, as the next page of a list does. That gives a scan the guarantees
/// of a list.</para>
/// <para>Thread safety: any number of cursors at a time; a cursor is used by one caller at a time.</para>
/// </remarks>
internal sealed class EntryScan(ReadPath reads, ShardedStore store, CoarseClock clock, byte[] prefix, CancellationToken cancellationToken)
    : IAsyncEnumerable<KvScanEntry>
{
    /// <summary>The most records that a cursor has read and not shown.</summary>
    public const int BatchRecords = 128;

    // A scan that ends early has read few records in vain.
    private const int FirstBatchRecords = 32;

    public IAsyncEnumerator<KvScanEntry> GetAsyncEnumerator(CancellationToken cancellationToken = default) => new Cursor(this, cancellationToken);

    private int Find(ReadOnlySpan<byte> after, Span<Record> records)
    {
        var sink = new PrefetchingSink(records);
        store.List(prefix, after, ref sink);
        return sink.Count;
    }

    private sealed class Cursor(EntryScan scan, CancellationToken ending) : IAsyncEnumerator<KvScanEntry>
    {
        private Record[] _batch = new Record[FirstBatchRecords];
        private int _next;
        private int _count;
        private bool _isLast;

        // The last key of the batch before.
        private byte[] _after = [];
        private int _afterBytes;

        public KvScanEntry Current { get; private set; }

        public ValueTask<bool> MoveNextAsync()
        {
            Current.Value.EndLease();
            Current = default;
            scan.ThrowIfOver(ending);
            while (true)
            {
                while (_next < _count)
                {
                    if (scan.TryShow(_batch[_next++], out var entry))
                    {
                        Current = entry;
                        return new(true);
                    }
                }

                if (_isLast)
                {
                    Forget();
                    return new(false);
                }

                Fill();
            }
        }

        public ValueTask DisposeAsync()
        {
            Current.Value.EndLease();
            Current = default;
            _isLast = true;
            Forget();
            return default;
        }

        private void Fill()
        {
            if (_count > 0)
            {
                var last = _batch[_count - 1].Key;
                _after = last.Length <= _after.Length ? _after : new byte[last.Length * 2];
                last.CopyTo(_after);
                _afterBytes = last.Length;
                _batch = _batch.Length == BatchRecords ? _batch : new Record[BatchRecords];
                Forget();
            }

            _count = scan.Find(_after.AsSpan(0, _afterBytes), _batch);
            _isLast = _count < _batch.Length;
        }

        // Not to keep segments in memory.
        private void Forget()
        {
            Array.Clear(_batch);
            _next = _count = 0;
        }
    }

    private void ThrowIfOver(CancellationToken ending)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ending.ThrowIfCancellationRequested();
        reads.ThrowIfClosed();
    }

    private bool TryShow(Record record, out KvScanEntry entry)
    {
        entry = default;
        if (record.IsDead && !store.TryFind(new Utf8Key(record.Key), out record))
        {
            return false;
        }

        if (clock.HasPassed(record.Deadline))
        {
            return false;
        }

        var value = record.IsLarge ? reads.ViewLarge(new Utf8Key(record.Key), record) : record.ToValue();
        if (!value.Exists)
        {
            return false;
        }

        entry = new KvScanEntry(Utf8Text.Decode(record.Key), value);
        return true;
    }

    /// <summary>Keeps the records, and prefetches the beginnings of their values.</summary>
    private ref struct PrefetchingSink(Span<Record> results) : IRecordSink
    {
        // The rest of a long value is read in order, which the processor prefetches by itself.
        private const int PrefetchedBytes = 256;
        private const int CacheLineBytes = 64;

        private readonly Span<Record> _results = results;

        public int Count { get; private set; }

        public readonly int Room => _results.Length - Count;

        public readonly ReadOnlySpan<byte> LastKey => Count == 0 ? default : _results[Count - 1].Key;

        public bool Offer(Record record)
        {
            // The line with the end of the key is there already.
            var begin = record.Offset + Record.HeaderBytes + record.KeyBytes;
            var end = begin + Math.Min(record.MetadataBytes + record.ValueBytes, PrefetchedBytes);
            for (var at = begin + CacheLineBytes - 1; at < end + CacheLineBytes - 1; at += CacheLineBytes)
            {
                HashIndex.Prefetch(record.Segment, Math.Min(at, end - 1));
            }

            _results[Count++] = record;
            return Count < _results.Length;
        }
    }
}
