using System.Text;
using RocksDbSharp;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// RocksDB with a block cache that holds everything and a Bloom filter; writes go in batches through the log, which is not
/// synced. Compacted after it is filled.
/// </summary>
internal sealed class RocksDbPeer : Peer
{
    private const int BatchKeys = 1000;

    private readonly ScratchDirectory _directory = new();
    private readonly RocksDb _db;
    private readonly byte[] _buffer = new byte[1024];

    public RocksDbPeer()
    {
        var table = new BlockBasedTableOptions()
            .SetFilterPolicy(BloomFilterPolicy.Create(10, false))
            .SetBlockCache(Cache.CreateLru(2UL << 30));
        _db = RocksDb.Open(new DbOptions().SetCreateIfMissing().SetBlockBasedTableFactory(table), _directory.Path);
    }

    /// <summary>Null when RocksDB runs on this machine.</summary>
    public static string? MissingBecause { get; } = Probe.Of("RocksDB", static () => new RocksDbPeer());

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

        _db.CompactRange((byte[]?)null, null);
    }

    public override int List(string start, int limit)
    {
        var page = new List<string>(limit);
        using var iterator = _db.NewIterator();
        for (iterator.Seek(start); page.Count < limit && iterator.Valid(); iterator.Next())
        {
            page.Add(Encoding.UTF8.GetString(iterator.GetKeySpan()));
        }

        return page.Count;
    }

    public override void Dispose()
    {
        _db.Dispose();
        _directory.Dispose();
        base.Dispose();
    }

    // The first byte of the value, or -1. Read in place, without a copy of the value.
    private int Get(string key) =>
        _db.Get(_buffer.AsSpan(0, Encoding.UTF8.GetBytes(key, _buffer)), FirstByte.Instance) - 1;

    private void Put(string[] keys, Func<int, byte[]> valueOf)
    {
        using var batch = new WriteBatch();
        for (var i = 0; i < keys.Length; i++)
        {
            batch.Put(_buffer.AsSpan(0, Encoding.UTF8.GetBytes(keys[i], _buffer)), valueOf(i));
        }

        _db.Write(batch);
    }

    /// <summary>Reads the first byte of a value plus one, so that it differs from the 0 of a key that is missing.</summary>
    private sealed class FirstByte : ISpanDeserializer<int>
    {
        public static FirstByte Instance { get; } = new();

        public int Deserialize(ReadOnlySpan<byte> buffer) => buffer[0] + 1;
    }
}
