using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>What does it bring to ask for 100 keys at once instead of one after the other? Times are per key.</summary>
public class GetMany
{
    private const int KeysPerGroup = 100;
    private const int GroupsPerInvoke = 10;
    private const int KeysPerInvoke = KeysPerGroup * GroupsPerInvoke;

    private string[] _access = [];
    private string[][] _groups = [];
    private int _next;
    private Peer? _peer;

    public static IEnumerable<int> KeyCounts => Sizes.KeyCounts;

    [Params(Popularity.Uniform, Popularity.Zipf)]
    public Popularity Popularity { get; set; }

    [ParamsSource(nameof(KeyCounts))]
    public int Keys { get; set; }

    [GlobalSetup(Targets = [nameof(KvStoreGetManyAsync), nameof(KvStoreGetAsync), nameof(KvStoreTryGet)])]
    public void SetUpKvStore() => SetUp(new KvStorePeer());

    [GlobalSetup(Target = nameof(ConcurrentDictionary))]
    public void SetUpConcurrentDictionary() => SetUp(new ConcurrentDictionaryPeer());

    [GlobalCleanup]
    public void CleanUp() => _peer?.Dispose();

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreGetManyAsync() => ((KvStorePeer)_peer!).GetManyAll(new(_groups, Next(), GroupsPerInvoke));

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public int KvStoreGetAsync() => ((KvStorePeer)_peer!).GetEntryAll(new(_access, Next() * KeysPerGroup, KeysPerInvoke));

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int KvStoreTryGet() => _peer!.GetAll(new(_access, Next() * KeysPerGroup, KeysPerInvoke));

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public int ConcurrentDictionary() => _peer!.GetAll(new(_access, Next() * KeysPerGroup, KeysPerInvoke));

    private void SetUp(Peer peer)
    {
        _peer = peer;
        peer.Fill(0, Keys);
        var accesses = Math.Clamp(Keys, 10 * KeysPerInvoke, 500 * KeysPerInvoke);
        _access = Popularity == Popularity.Zipf ? Workload.Zipf(Keys, accesses) : Workload.Uniform(Keys, accesses);
        _groups = [.. _access.Chunk(KeysPerGroup)];
        _next = 0;
    }

    private int Next()
    {
        var from = _next;
        _next = from + (2 * GroupsPerInvoke) > _groups.Length ? 0 : from + GroupsPerInvoke;
        return from;
    }
}
