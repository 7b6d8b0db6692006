using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>
/// How long does it take to read a key as bytes, as text, as an object, and with its metadata? The sizes differ in how many keys are
/// hot enough to be cached decoded. The dictionary returns the array that was put.
/// </summary>
public class GetTyped : PeerReadSuite
{
    [Params(Popularity.Uniform, Popularity.Zipf)]
    public Popularity Popularity { get; set; }

    [GlobalSetup(Targets = [nameof(Bytes), nameof(Text)])]
    public void SetUpText() => SetUp(new KvStorePeer());

    [GlobalSetup(Target = nameof(Json))]
    public void SetUpJson()
    {
        SetUp(new KvStorePeer());
        KvStore.FillJson(0, Keys);
    }

    [GlobalSetup(Target = nameof(WithMetadata))]
    public void SetUpMetadata()
    {
        SetUp(new KvStorePeer());
        KvStore.FillWithMetadata(0, Keys);
    }

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int Bytes() => KvStore.GetBytesAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int Text() => KvStore.GetTextAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int Json() => KvStore.GetJsonAll(Next());

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int WithMetadata() => KvStore.GetMetadataAll(Next());

    protected override string[] Accesses(int keys, int accesses) =>
        Popularity == Popularity.Zipf ? Workload.Zipf(keys, accesses) : Workload.Uniform(keys, accesses);
}
