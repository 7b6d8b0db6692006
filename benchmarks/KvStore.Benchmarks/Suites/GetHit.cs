using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>How long does it take to read a key that is there?</summary>
public class GetHit : PeerReadSuite
{
    [Params(Popularity.Uniform, Popularity.Zipf)]
    public Popularity Popularity { get; set; }

    [GlobalSetup(Targets = [nameof(KvStoreTryGet), nameof(KvStoreGetAsync), nameof(KvStoreGetBytesAsync), nameof(KvStoreGetTextAsync)])]
    public void SetUpKvStore() => SetUp(new KvStorePeer());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreTryGet() => KvStore.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetAsync() => KvStore.GetEntryAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetBytesAsync() => KvStore.GetBytesAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetTextAsync() => KvStore.GetTextAll(Next());

    protected override string[] Accesses(int keys, int accesses) =>
        Popularity == Popularity.Zipf ? Workload.Zipf(keys, accesses) : Workload.Uniform(keys, accesses);
}
