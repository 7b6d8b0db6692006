using System.Collections.Concurrent;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// The cache that people write themselves: a concurrent dictionary of entries with a deadline, checked on every read.
/// </summary>
internal sealed class TtlDictionaryPeer : Peer, ITimedPeer
{
    private static readonly long s_ttlMs = (long)TimeSpan.FromHours(1).TotalMilliseconds;

    private readonly ConcurrentDictionary<string, Entry> _entries = new();

    public override string Name => "ConcurrentDictionary + TTL";

    public bool ExpiresByItself => false;

    public override int GetAll(ArraySegment<string> keys)
    {
        var found = 0;
        foreach (var key in keys.AsSpan())
        {
            if (TryGet(key, out _))
            {
                found++;
            }
        }

        return found;
    }

    public override int GetAndReadAll(ArraySegment<string> keys)
    {
        var sum = 0;
        foreach (var key in keys.AsSpan())
        {
            if (TryGet(key, out var value))
            {
                sum += value[0];
            }
        }

        return sum;
    }

    public override void PutAll(ArraySegment<string> keys, byte[] value)
    {
        foreach (var key in keys.AsSpan())
        {
            Put(key, value);
        }
    }

    public bool Read(string key) => TryGet(key, out var value) && value[0] != 0;

    public void Write(string key, byte[] scratch, int ttlSeconds) =>
        _entries[key] = new Entry(
            scratch.AsSpan().ToArray(), Environment.TickCount64 + (ttlSeconds == 0 ? s_ttlMs : ttlSeconds * 1000L));

    public override void Remove(string key) => _entries.TryRemove(key, out _);

    public override void Fill(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            Put(Workload.Key(i), Workload.Value(i));
        }
    }

    private void Put(string key, byte[] value) => _entries[key] = new Entry(value, Environment.TickCount64 + s_ttlMs);

    private bool TryGet(string key, out byte[] value)
    {
        if (_entries.TryGetValue(key, out var entry) && entry.DeadlineMs > Environment.TickCount64)
        {
            value = entry.Value;
            return true;
        }

        value = [];
        return false;
    }

    private sealed record Entry(byte[] Value, long DeadlineMs);
}
