using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>
/// How long does it take to put a new key? Each iteration fills an empty store with a million keys that exist as strings
/// and one value that exists as an array: the namespace copies both, the others keep references.
/// </summary>
public class PutNew
{
    private const int KeysPerInvoke = 1_000_000;

    private readonly byte[] _value = Workload.Value(0);
    private string[] _keys = [];
    private Peer? _peer;

    // In the short form fewer keys are put than the result is divided by: it has no meaning there.
    [GlobalSetup]
    public void SetUp() => _keys = Workload.Keys(Sizes.IsShort ? 1000 : KeysPerInvoke);

    [IterationSetup(Target = nameof(KvStorePutAsync))]
    public void CreateKvStore() => _peer = new KvStorePeer();

    [IterationSetup(Target = nameof(Dictionary))]
    public void CreateDictionary() => _peer = new DictionaryPeer();

    [IterationSetup(Target = nameof(ConcurrentDictionary))]
    public void CreateConcurrentDictionary() => _peer = new ConcurrentDictionaryPeer();

    [IterationSetup(Target = nameof(ConcurrentDictionaryWithTtl))]
    public void CreateConcurrentDictionaryWithTtl() => _peer = new TtlDictionaryPeer();

    [IterationSetup(Target = nameof(MemoryCache))]
    public void CreateMemoryCache() => _peer = new MemoryCachePeer();

    [IterationCleanup]
    public void Empty()
    {
        _peer?.Dispose();
        _peer = null;
    }

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void KvStorePutAsync() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void Dictionary() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public void ConcurrentDictionary() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void ConcurrentDictionaryWithTtl() => _peer!.PutAll(_keys, _value);

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void MemoryCache() => _peer!.PutAll(_keys, _value);
}
