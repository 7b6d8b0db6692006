using System.Collections.Frozen;

namespace KvStore.Comparisons.Peers;

/// <summary>A dictionary that cannot be written: the fastest read that the framework has.</summary>
internal sealed class FrozenDictionaryPeer : Peer
{
    private FrozenDictionary<string, byte[]> _entries = FrozenDictionary<string, byte[]>.Empty;

    public override string Name => "FrozenDictionary";

    public override bool CanPut => false;

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

    public override void PutAll(ArraySegment<string> keys, byte[] value) =>
        throw new NotSupportedException("A frozen dictionary cannot be written.");

    public override void Fill(int from, int to)
    {
        var entries = new Dictionary<string, byte[]>(_entries);
        for (var i = from; i < to; i++)
        {
            entries[Workload.Key(i)] = Workload.Value(i);
        }

        _entries = entries.ToFrozenDictionary();
    }
}
