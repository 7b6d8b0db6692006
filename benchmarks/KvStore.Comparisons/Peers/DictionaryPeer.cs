namespace KvStore.Comparisons.Peers;

/// <summary>The plain dictionary: not safe with a writer; a bound for what hashing a string costs.</summary>
internal sealed class DictionaryPeer : Peer
{
    private readonly Dictionary<string, byte[]> _entries = [];

    public override string Name => "Dictionary";

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

    public override void Remove(string key) => _entries.Remove(key);

    public override void Fill(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            _entries[Workload.Key(i)] = Workload.Value(i);
        }
    }
}
