using System.Text;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// RocksDB with a block cache that holds everything and a Bloom filter; values are read pinned, without a copy; writes go
/// in batches through the log, which is not synced. Compacted once it is filled.
/// </summary>
internal sealed unsafe class RocksDbPeer : Peer
{
    private const int BatchKeys = 1000;

    private readonly ScratchDirectory _directory = new();
    private readonly nint _db;
    private readonly nint _read;
    private readonly nint _write;
    private readonly byte[] _buffer = new byte[1024];

    public RocksDbPeer()
    {
        var table = RocksDb.TableOptionsCreate();
        RocksDb.SetFilterPolicy(table, RocksDb.BloomCreate(10));
        RocksDb.SetBlockCache(table, RocksDb.CacheCreateLru((nuint)2 << 30));
        var options = RocksDb.OptionsCreate();
        RocksDb.SetCreateIfMissing(options, 1);
        RocksDb.SetTableFactory(options, table);
        byte* error = null;
        fixed (byte* path = RocksDb.ZeroTerminated(_directory.Path))
        {
            _db = RocksDb.Open(options, path, &error);
        }

        RocksDb.Check(error);
        _read = RocksDb.ReadOptionsCreate();
        _write = RocksDb.WriteOptionsCreate();
    }

    public override string Name => "RocksDB";

    public override int GetAll(ArraySegment<string> keys)
    {
        var found = 0;
        foreach (var key in keys)
        {
            found += Get(key) >= 0 ? 1 : 0;
        }

        return found;
    }

    public override int GetAndReadAll(ArraySegment<string> keys)
    {
        var sum = 0;
        foreach (var key in keys)
        {
            sum += Math.Max(Get(key), 0);
        }

        return sum;
    }

    public override void PutAll(ArraySegment<string> keys, byte[] value)
    {
        foreach (var batch in keys.Chunk(BatchKeys))
        {
            Put(batch, _ => value);
        }
    }

    public override void Fill(int from, int to)
    {
        foreach (var batch in Enumerable.Range(from, to - from).Chunk(BatchKeys))
        {
            Put(Array.ConvertAll(batch, Workload.Key), i => Workload.Value(batch[i]));
        }

        RocksDb.CompactRange(_db, null, 0, null, 0);
    }

    public override int List(string start, int limit)
    {
        var page = new List<string>(limit);
        var iterator = RocksDb.IteratorCreate(_db, _read);
        fixed (byte* key = _buffer)
        {
            RocksDb.IteratorSeek(iterator, key, (nuint)Encoding.UTF8.GetBytes(start, _buffer));
        }

        for (; page.Count < limit && RocksDb.IteratorValid(iterator) != 0; RocksDb.IteratorNext(iterator))
        {
            nuint length;
            var key = RocksDb.IteratorKey(iterator, &length);
            page.Add(Encoding.UTF8.GetString(key, (int)length));
        }

        RocksDb.IteratorDestroy(iterator);
        return page.Count;
    }

    public override void Dispose()
    {
        RocksDb.Close(_db);
        _directory.Dispose();
        base.Dispose();
    }

    // The first byte of the value, or -1.
    private int Get(string key)
    {
        byte* error = null;
        fixed (byte* utf8 = _buffer)
        {
            var pinned = RocksDb.GetPinned(_db, _read, utf8, (nuint)Encoding.UTF8.GetBytes(key, _buffer), &error);
            RocksDb.Check(error);
            if (pinned == 0)
            {
                return -1;
            }

            nuint length;
            var first = *RocksDb.PinnedValue(pinned, &length);
            RocksDb.PinnedDestroy(pinned);
            return first;
        }
    }

    private void Put(string[] keys, Func<int, byte[]> valueOf)
    {
        var batch = RocksDb.BatchCreate();
        for (var i = 0; i < keys.Length; i++)
        {
            var value = valueOf(i);
            fixed (byte* utf8 = _buffer, bytes = value)
            {
                RocksDb.BatchPut(batch, utf8, (nuint)Encoding.UTF8.GetBytes(keys[i], _buffer), bytes, (nuint)value.Length);
            }
        }

        byte* error = null;
        RocksDb.Write(_db, _write, batch, &error);
        RocksDb.BatchDestroy(batch);
        RocksDb.Check(error);
    }
}
