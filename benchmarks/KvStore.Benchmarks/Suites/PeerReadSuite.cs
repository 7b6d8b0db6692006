using BenchmarkDotNet.Attributes;
using KvStore.Comparisons.Peers;
using KvStore.Comparisons.Peers.Maps;

namespace KvStore.Benchmarks.Suites;

/// <summary>Reads the keys from every other store, beside the reads of the namespace in a suite.</summary>
public abstract class PeerReadSuite : ReadSuite
{
    [GlobalSetup(Target = nameof(Dictionary))]
    public void SetUpDictionary() => SetUp(new MapPeer<DictionaryMap>());

    [GlobalSetup(Target = nameof(FrozenDictionary))]
    public void SetUpFrozenDictionary() => SetUp(new FrozenDictionaryPeer());

    [GlobalSetup(Target = nameof(ConcurrentDictionary))]
    public void SetUpConcurrentDictionary() => SetUp(new MapPeer<ConcurrentDictionaryMap>());

    [GlobalSetup(Target = nameof(ConcurrentDictionaryWithTtl))]
    public void SetUpConcurrentDictionaryWithTtl() => SetUp(new MapPeer<TtlDictionaryMap>());

    [GlobalSetup(Target = nameof(MemoryCache))]
    public void SetUpMemoryCache() => SetUp(new MapPeer<MemoryCacheMap>());

    [GlobalSetup(Target = nameof(Sqlite))]
    public void SetUpSqlite() => SetUp(new SqlitePeer());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int Dictionary() => Peer.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int FrozenDictionary() => Peer.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public int ConcurrentDictionary() => Peer.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int ConcurrentDictionaryWithTtl() => Peer.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int MemoryCache() => Peer.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int Sqlite() => Peer.GetAll(Next());
}
