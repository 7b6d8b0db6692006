using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;

namespace KvStore.Reads;

/// <summary>Every entry whose key begins with a prefix, with its value, in the order of the keys: the newest state of a namespace.</summary>
/// <remarks>
/// <para>A cursor takes the addresses of many entries from the ordered index, and resolves each when it comes to it. Meanwhile it prefetches
/// the records of the entries that follow, so that their cache misses overlap with the work of the caller.</para>
/// <para>Addresses keep no memory alive, so a caller may stop for an hour. When the leaves of the ordered index have changed meanwhile,
/// the cursor takes new addresses behind the last key, as the next page of a list does. That gives a scan the guarantees of a list.
/// What is shown is never old: an entry that was overwritten is looked up.</para>
/// <para>Thread safety: any number of cursors at a time; a cursor is used by one caller at a time.</para>
/// </remarks>
internal sealed class EntryScan(ReadPath reads, ShardedStore store, CoarseClock clock, byte[] prefix, CancellationToken cancellationToken)
    : IAsyncEnumerable<KvScanEntry>
{
    private const int Addresses = 512;

    // A scan that ends early has taken few in vain.
    private const int FirstAddresses = 64;

    // So many records are on their way from memory: more would wait for each other. A few are asked for at once, so that their TLB misses
    // overlap too. The processor prefetches the rest of a long value itself.
    private const int RecordsAhead = 12;
    private const int RecordsAtOnce = 4;
    private const int PrefetchedBytesMax = 256;

    public IAsyncEnumerator<KvScanEntry> GetAsyncEnumerator(CancellationToken cancellationToken = default) => new Cursor(this, cancellationToken);

    private bool HasPassed(Deadline deadline) => !deadline.IsNone && clock.HasPassed(deadline);

    private void ThrowIfOver()
    {
        cancellationToken.ThrowIfCancellationRequested();
        reads.ThrowIfClosed();
    }

    // For a record that may be none of the newest, or a large value.
    private bool TryShow(Record record, out KvValue value)
    {
        value = default;
        if ((record.IsDead && !store.TryFind(new Utf8Key(record.Key), out record)) || HasPassed(record.Deadline))
        {
            return false;
        }

        value = record.IsLarge ? reads.ViewLarge(new Utf8Key(record.Key), record) : record.ToValue();
        return value.Exists;
    }

    // Hot: a few nanoseconds count. It makes no strings, and reads nothing but the record of the entry.
    private sealed class Cursor(EntryScan scan, CancellationToken ending) : IAsyncEnumerator<KvScanEntry>
    {
        private readonly ReadPath _reads = scan.Reads;
        private readonly CancellationToken _ofCall = scan.Cancellation;
        private readonly CoarseClock _clock = scan.Clock;
        private readonly OrderedIndex _ordered = scan.Store.Ordered;
        private readonly byte[] _prefix = scan.Prefix;
        private long[] _addresses = new long[FirstAddresses];
        private int _next;
        private int _count;
        private int _version;
        private bool _isLast;

        // Whether some of the addresses may be of keys behind the prefix.
        private bool _comparesPrefix;

        // The entry that is shown, or the record that was passed over since then: where the cursor goes on.
        private KvValue _current;
        private Record _passedOver;

        // Records of a namespace are mostly of like length.
        private int _recordBytes = 1;

        // Whether the value that is shown is a large one.
        private bool _hasLease;

        public KvScanEntry Current => new(_current);

        public ValueTask<bool> MoveNextAsync()
        {
            if (_hasLease)
            {
                EndLease();
            }

            if (ending.IsCancellationRequested || _ofCall.IsCancellationRequested || _reads.IsClosed)
            {
                ThrowOver();
            }

            while (_next < _count || TryFill())
            {
                if (_next % RecordsAtOnce == 0)
                {
                    Prefetch(_next + RecordsAhead, RecordsAtOnce);
                }

                if (!_ordered.TryResolve(_addresses[_next], _version, out var record))
                {
                    _next = _count = 0;
                    _isLast = false;
                    continue;
                }

                if (_comparesPrefix && !record.Key.StartsWith(_prefix))
                {
                    _isLast = true;
                    break;
                }

                if (_next++ % RecordsAtOnce == 0)
                {
                    _recordBytes = Math.Min(record.SizeInSegment, PrefetchedBytesMax);
                }

                var isPlain = record.IsPlain && !_clock.MayHavePassed(record.DeadlineSeconds);
                var value = isPlain ? record.ToValue() : default;
                if (isPlain || scan.TryShow(record, out value))
                {
                    _hasLease = !isPlain && value.IsLarge;
                    if (!_passedOver.IsNone)
                    {
                        _passedOver = default;
                    }

                    _current = value;
                    return new(true);
                }

                _passedOver = record;
            }

            End();
            return new(false);
        }

        public ValueTask DisposeAsync()
        {
            EndLease();
            End();
            return default;
        }

        private void End()
        {
            _current = default;
            _passedOver = default;
            _isLast = true;
            _next = _count = 0;
        }

        // The value that was shown last can be opened as long as its key has it.
        private void EndLease()
        {
            _hasLease = false;
            _current.EndLease();
        }

        private void ThrowOver()
        {
            _current = default;
            ending.ThrowIfCancellationRequested();
            scan.ThrowIfOver();
        }

        private bool TryFill()
        {
            if (_isLast)
            {
                return false;
            }

            if (_current.Exists && _addresses.Length < Addresses)
            {
                _addresses = new long[Addresses];
            }

            // A key that was passed over comes after the one that was shown.
            var after = !_passedOver.IsNone ? _passedOver.Key : _current.Exists ? _current.RecordKey : default;
            _count = _ordered.TakeAddresses(_prefix, after, _addresses, out _version);
            _next = 0;
            _isLast = _count < _addresses.Length;

            // Keys are in order: when the last one has the prefix, all have it.
            _comparesPrefix = _prefix.Length > 0
                && !(_count > 0 && _ordered.TryResolve(_addresses[_count - 1], _version, out var last) && last.Key.StartsWith(_prefix));
            Prefetch(0, RecordsAhead);
            return _count > 0;
        }

        private void Prefetch(int first, int count)
        {
            if (first < _count)
            {
                _ordered.Prefetch(_addresses.AsSpan(first, Math.Min(count, _count - first)), _recordBytes);
            }
        }
    }

    private ReadPath Reads => reads;

    private CancellationToken Cancellation => cancellationToken;

    private CoarseClock Clock => clock;

    private ShardedStore Store => store;

    private byte[] Prefix => prefix;
}
