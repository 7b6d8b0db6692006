#if NONBLOCKING
using NonBlocking;

namespace KvStore.Comparisons.Peers;

/// <summary>VSadov's lock-free table.</summary>
internal sealed class NonBlockingPeer : Peer, ITimedPeer
{
    private readonly ConcurrentDictionary<string, byte[]> _entries = new();

    public override string Name => "NonBlocking";

    public bool ExpiresByItself => false;

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
            if (entries.TryGetValue(key, out var value))
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
            entries[key] = value;
        }
    }

    public bool Read(string key) => _entries.TryGetValue(key, out var value) && value[0] != 0;

    public void Write(string key, byte[] scratch, int ttlSeconds) =>
        _entries[key] = scratch.AsSpan().ToArray();

    public override void Remove(string key) => _entries.TryRemove(key, out _);

    public override void Fill(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            _entries[Workload.Key(i)] = Workload.Value(i);
        }
    }
}
#endif
