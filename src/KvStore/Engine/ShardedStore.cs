using KvStore.Expiry;
using KvStore.Keys;

namespace KvStore.Engine;

/// <summary>INTERIM: one lock and a sorted dictionary behind the interface that the real engine will have.</summary>
internal sealed class ShardedStore : IDisposable
{
    private sealed class ByteOrder : IComparer<byte[]>
    {
        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }

    private readonly SortedDictionary<byte[], Record> _entries = new(new ByteOrder());
    private readonly CoarseClock _clock;
    private long _revision;

    public ShardedStore(CoarseClock clock)
    {
        _clock = clock;
    }

    /// <summary>The number of live entries.</summary>
    public long Count
    {
        get
        {
            lock (_entries)
            {
                return _entries.Count;
            }
        }
    }

    public bool TryFind<TKey>(in TKey key, out Record record)
        where TKey : struct, IKey, allows ref struct
    {
        var bytes = new byte[key.Utf8Bytes];
        key.CopyTo(bytes);
        lock (_entries)
        {
            return _entries.TryGetValue(bytes, out record) && !_clock.HasPassed(record.Deadline);
        }
    }

    /// <summary>A record with its header and key, to be filled with metadata and value and then published or abandoned.</summary>
    public Record Draft<TKey>(in TKey key, int metadataBytes, int valueBytes, uint deadline)
        where TKey : struct, IKey, allows ref struct
    {
        _ = _revision;
        var record = new Record(new byte[Record.SizeFor(key.Utf8Bytes, metadataBytes, valueBytes)], 0);
        record.Initialize(key.Utf8Bytes, metadataBytes, valueBytes, deadline);
        key.CopyTo(record.DraftKey);
        return record;
    }

    public void Publish<TKey>(in TKey key, Record draft)
        where TKey : struct, IKey, allows ref struct
    {
        lock (_entries)
        {
            draft.SetRevision(++_revision);
            _entries[draft.Key.ToArray()] = draft;
        }
    }

    public bool Delete<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var bytes = new byte[key.Utf8Bytes];
        key.CopyTo(bytes);
        lock (_entries)
        {
            return _entries.Remove(bytes);
        }
    }

    /// <summary>Finds the first entries in key order that begin with a prefix and come after a key.</summary>
    /// <returns>How many were found, up to the length of the results.</returns>
    public int List(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, Span<Record> results)
    {
        var count = 0;
        lock (_entries)
        {
            foreach (var (key, record) in _entries)
            {
                if (count == results.Length)
                {
                    break;
                }

                if (key.AsSpan().StartsWith(prefix) && key.AsSpan().SequenceCompareTo(after) > 0 && !_clock.HasPassed(record.Deadline))
                {
                    results[count++] = record;
                }
            }
        }

        return count;
    }

    public void Dispose()
    {
    }
}
