using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>How much faster is a get of 100 keys than 100 gets, as the other stores do? Times are per key.</summary>
public class GetMany : PeerReadSuite
{
    private const int KeysPerGroup = 100;

    private string[][] _groups = [];

    [Params(Popularity.Uniform, Popularity.Zipf)]
    public Popularity Popularity { get; set; }

    [GlobalSetup(Targets = [nameof(KvStoreGetManyAsync), nameof(KvStoreGetAsync), nameof(KvStoreTryGet)])]
    public void SetUpKvStore() => SetUp(new KvStorePeer());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetManyAsync() => KvStore.GetManyAll(new(_groups, Next().Offset / KeysPerGroup, KeysPerInvoke / KeysPerGroup));

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetAsync() => KvStore.GetEntryAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreTryGet() => KvStore.GetAll(Next());

    protected override string[] Accesses(int keys, int accesses)
    {
        var access = Popularity == Popularity.Zipf ? Workload.Zipf(keys, accesses) : Workload.Uniform(keys, accesses);
        _groups = [.. access.Chunk(KeysPerGroup)];
        return access;
    }
}
