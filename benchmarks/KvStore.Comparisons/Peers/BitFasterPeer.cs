#if BITFASTER
using BitFaster.Caching.Lru;

namespace KvStore.Comparisons.Peers;

/// <summary>A bounded cache in order of use, with room for everything.</summary>
internal sealed class BitFasterPeer : Peer, ITimedPeer
{
    private readonly ConcurrentLru<string, byte[]> _entries = new(10_000_000);

    public override string Name => "BitFaster ConcurrentLru";

    public bool ExpiresByItself => false;

    public override int GetAll(ArraySegment<string> keys)
    {
        var entries = _entries;
        var found = 0;
        foreach (var key in keys.AsSpan())
        {
            if (entries.TryGet(key, out _))
            {
                found++;
            }
        }

        return found;
    }

    public override int GetAndReadAll(ArraySegment<string> keys)
    {
        var entries = _entries;
        var sum = 0;
        foreach (var key in keys.AsSpan())
        {
            if (entries.TryGet(key, out var value))
            {
                sum += value[0];
            }
        }

        return sum;
    }

    public override void PutAll(ArraySegment<string> keys, byte[] value)
    {
        var entries = _entries;
        foreach (var key in keys.AsSpan())
        {
            entries.AddOrUpdate(key, value);
        }
    }

    public bool Read(string key) => _entries.TryGet(key, out var value) && value[0] != 0;

    public void Write(string key, byte[] scratch, int ttlSeconds) =>
        _entries.AddOrUpdate(key, scratch.AsSpan().ToArray());

    public override void Remove(string key) => _entries.TryRemove(key);

    public override void Fill(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            _entries.AddOrUpdate(Workload.Key(i), Workload.Value(i));
        }
    }
}
#endif
