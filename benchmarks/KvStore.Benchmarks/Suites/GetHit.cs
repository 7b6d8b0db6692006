using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>How long does it take to read a key that is there?</summary>
public class GetHit : ReadSuite
{
    [Params(Popularity.Uniform, Popularity.Zipf)]
    public Popularity Popularity { get; set; }

    [GlobalSetup(Targets = [nameof(KvStoreTryGet), nameof(KvStoreGetAsync), nameof(KvStoreGetBytesAsync), nameof(KvStoreGetTextAsync)])]
    public void SetUpKvStore() => SetUp(new KvStorePeer());

    [GlobalSetup(Target = nameof(Dictionary))]
    public void SetUpDictionary() => SetUp(new DictionaryPeer());

    [GlobalSetup(Target = nameof(FrozenDictionary))]
    public void SetUpFrozenDictionary() => SetUp(new FrozenDictionaryPeer());

    [GlobalSetup(Target = nameof(ConcurrentDictionary))]
    public void SetUpConcurrentDictionary() => SetUp(new ConcurrentDictionaryPeer());

    [GlobalSetup(Target = nameof(ConcurrentDictionaryWithTtl))]
    public void SetUpConcurrentDictionaryWithTtl() => SetUp(new TtlDictionaryPeer());

    [GlobalSetup(Target = nameof(MemoryCache))]
    public void SetUpMemoryCache() => SetUp(new MemoryCachePeer());

    [GlobalSetup(Target = nameof(Sqlite))]
    public void SetUpSqlite() => SetUp(new SqlitePeer());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreTryGet() => KvStore.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetAsync() => KvStore.GetEntryAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetBytesAsync() => KvStore.GetBytesAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetTextAsync() => KvStore.GetTextAll(Next());

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

    protected override string[] Accesses(int keys, int accesses) =>
        Popularity == Popularity.Zipf ? Workload.Zipf(keys, accesses) : Workload.Uniform(keys, accesses);
}
