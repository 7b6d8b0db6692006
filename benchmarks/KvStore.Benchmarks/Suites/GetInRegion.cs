using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>How much longer does a get in a region take, without pending writes?</summary>
public class GetInRegion : ReadSuite
{
    private static readonly KvReplicationOptions s_regions = new() { Regions = ["jnb", "lhr", "sfo", "syd", "gru"] };
    private KvStorePeer? _region;

    [GlobalSetup(Targets = [nameof(NotReplicated), nameof(NotReplicatedTryGet)])]
    public void SetUpPlain() => SetUp(new KvStorePeer());

    [GlobalSetup(Targets = [nameof(HomeRegion), nameof(HomeRegionTryGet), nameof(AnotherRegion)])]
    public void SetUpReplicated()
    {
        SetUp(new KvStorePeer(s_regions));
        _region = KvStore.InRegion("lhr");
    }

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public int NotReplicated() => KvStore.GetEntryAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int HomeRegion() => KvStore.GetEntryAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int AnotherRegion() => _region!.GetEntryAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int NotReplicatedTryGet() => KvStore.GetAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int HomeRegionTryGet() => KvStore.GetAll(Next());

    protected override string[] Accesses(int keys, int accesses) => Workload.Uniform(keys, accesses);
}
