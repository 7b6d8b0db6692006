using Microsoft.Extensions.Caching.Memory;

namespace KvStore.Comparisons.Peers;

/// <summary>Microsoft.Extensions.Caching.Memory, each entry with an absolute expiration.</summary>
internal sealed class MemoryCachePeer : Peer, ITimedPeer
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromHours(1);

    private readonly MemoryCache _entries = new(new MemoryCacheOptions());

    public override string Name => "MemoryCache";

    public bool ExpiresByItself => true;

    public override int GetAll(ArraySegment<string> keys)
    {
        var entries = _entries;
        var found = 0;
        foreach (var key in keys.AsSpan())
        {
            if (entries.TryGetValue(key, out _))
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
            if (entries.TryGetValue(key, out byte[]? value))
            {
                sum += value![0];
            }
        }

        return sum;
    }

    public override void PutAll(ArraySegment<string> keys, byte[] value)
    {
        foreach (var key in keys.AsSpan())
        {
            _entries.Set(key, value, s_ttl);
        }
    }

    public bool Read(string key) => _entries.TryGetValue(key, out byte[]? value) && value![0] != 0;

    public void Write(string key, byte[] scratch, int ttlSeconds) =>
        _entries.Set(key, scratch.AsSpan().ToArray(), ttlSeconds == 0 ? s_ttl : TimeSpan.FromSeconds(ttlSeconds));

    public override void Remove(string key) => _entries.Remove(key);

    public override void Fill(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            _entries.Set(Workload.Key(i), Workload.Value(i), s_ttl);
        }
    }

    public override void Dispose()
    {
        _entries.Dispose();
        base.Dispose();
    }
}
