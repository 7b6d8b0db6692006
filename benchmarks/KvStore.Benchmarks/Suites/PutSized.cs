using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;
using KvStore.Comparisons.Peers.Maps;

namespace KvStore.Benchmarks.Suites;

/// <summary>
/// How does the time of a put grow with its value, and what do metadata and a time to live add? The namespace and SQLite copy the
/// value; the other stores keep the array.
/// </summary>
public class PutSized
{
    private const int KeysPerInvoke = 100;

    private readonly string[] _keys = Workload.Keys(KeysPerInvoke);
    private readonly KvPutOptions _options = new()
    {
        ExpirationTtl = TimeSpan.FromHours(1),
        Metadata = KvMetadata.FromJson("""{"by":"ada","at":1700000000}"""),
    };

    private byte[] _value = [];
    private Peer? _peer;

    public static IEnumerable<int> Sizes => Suites.Sizes.IsShort ? [100] : [100, 1024, 10 * 1024, 100 * 1024, 1024 * 1024];

    [ParamsSource(nameof(Sizes))]
    public int ValueBytes { get; set; }

    [GlobalSetup(Targets = [nameof(KvStorePutAsync), nameof(KvStorePutAsyncWithMetadataAndTtl)])]
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

    [GlobalCleanup]
    public void CleanUp() => _peer?.Dispose();

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void KvStorePutAsync() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void KvStorePutAsyncWithMetadataAndTtl() => ((KvStorePeer)_peer!).PutAll(_keys, _value, _options);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void Dictionary() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public void ConcurrentDictionary() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void ConcurrentDictionaryWithTtl() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void MemoryCache() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void Sqlite() => _peer!.PutAll(_keys, _value);

    private void SetUp(Peer peer)
    {
        _peer = peer;
        _value = new byte[ValueBytes];
        peer.PutAll(_keys, _value);
    }
}
