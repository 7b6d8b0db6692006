using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;
using KvStore.Comparisons.Peers.Maps;

namespace KvStore.Benchmarks.Suites;

/// <summary>How long does it take to delete keys? Each iteration empties a store that was filled for it. The time is that of all keys.</summary>
public class Delete
{
    private string[] _keys = [];
    private Peer? _peer;

    public static IEnumerable<int> KeyCounts => Sizes.KeyCounts;

    [ParamsSource(nameof(KeyCounts))]
    public int Keys { get; set; }

    [GlobalSetup]
    public void SetUp() => _keys = Workload.Keys(Keys);

    [IterationSetup(Target = nameof(KvStoreDeleteAsync))]
    public void FillKvStore() => Fill(new KvStorePeer());

    [IterationSetup(Target = nameof(Dictionary))]
    public void FillDictionary() => Fill(new MapPeer<DictionaryMap>());

    [IterationSetup(Target = nameof(ConcurrentDictionary))]
    public void FillConcurrentDictionary() => Fill(new MapPeer<ConcurrentDictionaryMap>());

    [IterationSetup(Target = nameof(MemoryCache))]
    public void FillMemoryCache() => Fill(new MapPeer<MemoryCacheMap>());

    [IterationSetup(Target = nameof(ConcurrentDictionaryWithTtl))]
    public void FillConcurrentDictionaryWithTtl() => Fill(new MapPeer<TtlDictionaryMap>());

    [IterationSetup(Target = nameof(Sqlite))]
    public void FillSqlite() => Fill(new SqlitePeer());

    [IterationCleanup]
    public void CleanUp() => _peer?.Dispose();

    [Benchmark]
    public void KvStoreDeleteAsync() => _peer!.RemoveAll(_keys);

    [Benchmark]
    public void Dictionary() => _peer!.RemoveAll(_keys);

    [Benchmark(Baseline = true)]
    public void ConcurrentDictionary() => _peer!.RemoveAll(_keys);

    [Benchmark]
    public void ConcurrentDictionaryWithTtl() => _peer!.RemoveAll(_keys);

    [Benchmark]
    public void MemoryCache() => _peer!.RemoveAll(_keys);

    [Benchmark]
    public void Sqlite() => _peer!.RemoveAll(_keys);

    private void Fill(Peer peer)
    {
        _peer = peer;
        peer.Fill(0, _keys.Length);
    }
}
