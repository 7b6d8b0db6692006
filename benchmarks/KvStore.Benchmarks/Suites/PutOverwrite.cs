using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;
using KvStore.Comparisons.Peers.Maps;

namespace KvStore.Benchmarks.Suites;

/// <summary>How long does it take to put a key that is there already?</summary>
public class PutOverwrite : ReadSuite
{
    private readonly byte[] _value = Workload.Value(1);

    [Params(Popularity.Uniform, Popularity.Zipf)]
    public Popularity Popularity { get; set; }

    [GlobalSetup(Target = nameof(KvStorePutAsync))]
    public void SetUpKvStore() => SetUp(new KvStorePeer());

    [GlobalSetup(Target = nameof(Dictionary))]
    public void SetUpDictionary() => SetUp(new MapPeer<DictionaryMap>());

    [GlobalSetup(Target = nameof(ConcurrentDictionary))]
    public void SetUpConcurrentDictionary() => SetUp(new MapPeer<ConcurrentDictionaryMap>());

    [GlobalSetup(Target = nameof(ConcurrentDictionaryWithTtl))]
    public void SetUpConcurrentDictionaryWithTtl() => SetUp(new MapPeer<TtlDictionaryMap>());

    [GlobalSetup(Target = nameof(MemoryCache))]
    public void SetUpMemoryCache() => SetUp(new MapPeer<MemoryCacheMap>());

    [GlobalSetup(Target = nameof(Sqlite))]
    public void SetUpSqlite() => SetUp(new SqlitePeer());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void KvStorePutAsync() => Peer.PutAll(Next(), _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void Dictionary() => Peer.PutAll(Next(), _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public void ConcurrentDictionary() => Peer.PutAll(Next(), _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void ConcurrentDictionaryWithTtl() => Peer.PutAll(Next(), _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void MemoryCache() => Peer.PutAll(Next(), _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void Sqlite() => Peer.PutAll(Next(), _value);

    protected override string[] Accesses(int keys, int accesses) =>
        Popularity == Popularity.Zipf ? Workload.Zipf(keys, accesses) : Workload.Uniform(keys, accesses);
}
