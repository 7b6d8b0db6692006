using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Latency;

/// <summary>
/// The writes of one round, planned in advance, so that only the store works during the measurement. Of ten writes six overwrite a
/// key, two put new keys, one puts a key that expires after a second, and one deletes a key that was put before.
/// </summary>
internal sealed class LoadPlan
{
    private const int TtlSeconds = 1;

    private readonly (Kind Kind, string Key)[] _writes;
    private readonly Queue<(string Key, long DueMs)> _expiring = new();
    private readonly byte[] _scratch = Workload.Value(7);

    public LoadPlan(int keys, int writes, int seed)
    {
        var random = new Random(seed);
        var nextNew = keys + (seed * writes);
        var oldestNew = nextNew;
        _writes = new (Kind, string)[writes];
        for (var i = 0; i < writes; i++)
        {
            _writes[i] = (i % 10) switch
            {
                6 or 7 => (Kind.Put, Workload.Key(nextNew++)),
                8 => (Kind.PutExpiring, Workload.Key(nextNew++)),
                9 => (Kind.Delete, Workload.Key(oldestNew++)),
                _ => (Kind.Put, Workload.Key(random.Next(keys))),
            };
        }
    }

    private enum Kind
    {
        Put,
        PutExpiring,
        Delete,
    }

    public int Count => _writes.Length;

    /// <summary>Makes one write, and removes expired keys when the store does not do that.</summary>
    public void Do(int index, ITimedPeer peer)
    {
        var (kind, key) = _writes[index % _writes.Length];
        switch (kind)
        {
            case Kind.Put:
                peer.Write(key, _scratch, ttlSeconds: 0);
                break;
            case Kind.PutExpiring:
                peer.Write(key, _scratch, TtlSeconds);
                if (!peer.ExpiresByItself)
                {
                    _expiring.Enqueue((key, Environment.TickCount64 + (TtlSeconds * 1000)));
                }

                break;
            case Kind.Delete:
                peer.Remove(key);
                break;
        }

        while (_expiring.TryPeek(out var first) && first.DueMs <= Environment.TickCount64)
        {
            peer.Remove(_expiring.Dequeue().Key);
        }
    }
}
