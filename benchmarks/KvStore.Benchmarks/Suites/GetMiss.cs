using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>How long does a get of a missing key take?</summary>
public class GetMiss : PeerReadSuite
{
    [GlobalSetup(Target = nameof(KvStoreTryGet))]
    public void SetUpKvStore() => SetUp(new KvStorePeer());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreTryGet() => Peer.GetAll(Next());

    protected override string[] Accesses(int keys, int accesses) => Workload.Absent(keys, accesses);
}
