using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>How does a put grow with its value, and what do metadata and a time to live add?</summary>
public class PutSized
{
    private const int KeysPerInvoke = 100;

    private readonly string[] _keys = Workload.Keys(KeysPerInvoke);
    private readonly KvPutOptions _options = new()
    {
        ExpirationTtl = TimeSpan.FromHours(1),
        Metadata = KvMetadata.FromJson("""{"by":"ada","at":1700000000}"""),
    };

    private KvStorePeer? _peer;
    private byte[] _value = [];

    public static IEnumerable<int> Sizes => Suites.Sizes.IsShort ? [100] : [100, 1024, 10 * 1024, 100 * 1024, 1024 * 1024];

    [ParamsSource(nameof(Sizes))]
    public int ValueBytes { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _peer = new KvStorePeer();
        _value = new byte[ValueBytes];
    }

    [GlobalCleanup]
    public void CleanUp() => _peer?.Dispose();

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public void Plain() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void WithMetadataAndTimeToLive() => _peer!.PutAll(_keys, _value, _options);
}
