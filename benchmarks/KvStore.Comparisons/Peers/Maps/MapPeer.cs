namespace KvStore.Comparisons.Peers.Maps;

/// <summary>A peer that is a map.</summary>
internal sealed class MapPeer<TMap>(TMap map) : Peer, ITimedPeer
    where TMap : struct, IMap
{
    private readonly TMap _map = map;

    public MapPeer()
        : this(new TMap())
    {
    }

    public override string Name => TMap.Name;

    public bool ExpiresByItself => TMap.ExpiresByItself;

    public override int GetAll(ArraySegment<string> keys)
    {
        var map = _map;
        var found = 0;
        foreach (var key in keys.AsSpan())
        {
            if (map.TryGet(key, out _))
            {
                found++;
            }
        }

        return found;
    }

    public override int GetAndReadAll(ArraySegment<string> keys)
    {
        var map = _map;
        var sum = 0;
        foreach (var key in keys.AsSpan())
        {
            if (map.TryGet(key, out var value))
            {
                sum += value[0];
            }
        }

        return sum;
    }

    public override void PutAll(ArraySegment<string> keys, byte[] value)
    {
        var map = _map;
        foreach (var key in keys.AsSpan())
        {
            map.Put(key, value);
        }
    }

    public bool Read(string key) => _map.TryGet(key, out var value) && value[0] != 0;

    public void Write(string key, byte[] scratch, int ttlSeconds) => _map.Put(key, scratch.AsSpan().ToArray(), ttlSeconds);

    public override void Remove(string key) => _map.Remove(key);

    public override void Fill(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            _map.Put(Workload.Key(i), Workload.Value(i));
        }
    }

    public override void Dispose()
    {
        (_map as IDisposable)?.Dispose();
        base.Dispose();
    }
}
