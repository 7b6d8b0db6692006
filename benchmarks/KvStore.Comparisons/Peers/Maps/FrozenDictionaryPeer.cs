using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>A dictionary that cannot be written: the fastest read that the framework has.</summary>
internal sealed class FrozenDictionaryPeer : Peer
{
    private MapPeer<Map> _peer = new(new Map(FrozenDictionary<string, byte[]>.Empty));
    private Dictionary<string, byte[]> _entries = [];

    public override string Name => Map.Name;

    public override bool CanPut => false;

    public override int GetAll(ArraySegment<string> keys) => _peer.GetAll(keys);

    public override int GetAndReadAll(ArraySegment<string> keys) => _peer.GetAndReadAll(keys);

    public override void PutAll(ArraySegment<string> keys, byte[] value) =>
        throw new NotSupportedException("A frozen dictionary cannot be written.");

    public override void Fill(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            _entries[Workload.Key(i)] = Workload.Value(i);
        }

        _peer = new MapPeer<Map>(new Map(_entries.ToFrozenDictionary()));
        _entries = [];
    }

    private readonly struct Map(FrozenDictionary<string, byte[]> entries) : IMap
    {
        public static string Name => "FrozenDictionary";

        public static bool ExpiresByItself => false;

        public bool TryGet(string key, [NotNullWhen(true)] out byte[]? value) => entries.TryGetValue(key, out value);

        public void Put(string key, byte[] value) => throw new NotSupportedException("A frozen dictionary cannot be written.");

        public void Put(string key, byte[] value, int ttlSeconds) => Put(key, value);

        public void Remove(string key) => throw new NotSupportedException("A frozen dictionary cannot be written.");
    }
}
