using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;
using KvStore.Comparisons.Peers.Maps;

namespace KvStore.Benchmarks.Suites;

/// <summary>
/// How long does it take to put new keys? Each iteration fills an empty store with keys that exist as strings and a value that exists
/// as an array. The namespace copies both, the other stores keep references. The time is that of all keys.
/// </summary>
public class PutNew
{
    private readonly byte[] _value = Workload.Value(0);
    private string[] _keys = [];
    private Peer? _peer;

    public static IEnumerable<int> KeyCounts => Sizes.KeyCounts;

    [ParamsSource(nameof(KeyCounts))]
    public int Keys { get; set; }

    [GlobalSetup]
    public void SetUp() => _keys = Workload.Keys(Keys);

    [IterationSetup(Target = nameof(KvStorePutAsync))]
    public void CreateKvStore() => _peer = new KvStorePeer();

    [IterationSetup(Target = nameof(Dictionary))]
    public void CreateDictionary() => _peer = new MapPeer<DictionaryMap>();

    [IterationSetup(Target = nameof(ConcurrentDictionary))]
    public void CreateConcurrentDictionary() => _peer = new MapPeer<ConcurrentDictionaryMap>();

    [IterationSetup(Target = nameof(ConcurrentDictionaryWithTtl))]
    public void CreateConcurrentDictionaryWithTtl() => _peer = new MapPeer<TtlDictionaryMap>();

    [IterationSetup(Target = nameof(MemoryCache))]
    public void CreateMemoryCache() => _peer = new MapPeer<MemoryCacheMap>();

    [IterationSetup(Target = nameof(Sqlite))]
    public void CreateSqlite() => _peer = new SqlitePeer();

    [IterationCleanup]
    public void Empty()
    {
        _peer?.Dispose();
        _peer = null;
    }

    [Benchmark]
    public void KvStorePutAsync() => _peer!.PutAll(_keys, _value);

    [Benchmark]
    public void Dictionary() => _peer!.PutAll(_keys, _value);

    [Benchmark(Baseline = true)]
    public void ConcurrentDictionary() => _peer!.PutAll(_keys, _value);

    [Benchmark]
    public void ConcurrentDictionaryWithTtl() => _peer!.PutAll(_keys, _value);

    [Benchmark]
    public void MemoryCache() => _peer!.PutAll(_keys, _value);

    [Benchmark]
    public void Sqlite() => _peer!.PutAll(_keys, _value);
}
