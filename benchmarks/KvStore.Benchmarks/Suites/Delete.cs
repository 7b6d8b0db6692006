using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>How long does it take to delete a key? Each iteration empties a store that was filled for it.</summary>
public class Delete
{
    private const int KeysPerInvoke = 100_000;

    private string[] _keys = [];
    private Peer? _peer;

    // In the short form fewer keys are deleted than the result is divided by: it has no meaning there.
    [GlobalSetup]
    public void SetUp() => _keys = Workload.Keys(Sizes.IsShort ? 1000 : KeysPerInvoke);

    [IterationSetup(Target = nameof(KvStoreDeleteAsync))]
    public void FillKvStore() => Fill(new KvStorePeer());

    [IterationSetup(Target = nameof(ConcurrentDictionary))]
    public void FillConcurrentDictionary() => Fill(new ConcurrentDictionaryPeer());

    [IterationSetup(Target = nameof(MemoryCache))]
    public void FillMemoryCache() => Fill(new MemoryCachePeer());

    [IterationCleanup]
    public void CleanUp() => _peer?.Dispose();

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void KvStoreDeleteAsync() => RemoveAll();

    [Benchmark(OperationsPerInvoke = KeysPerInvoke, Baseline = true)]
    public void ConcurrentDictionary() => RemoveAll();

    [Benchmark(OperationsPerInvoke = KeysPerInvoke)]
    public void MemoryCache() => RemoveAll();

    private void Fill(Peer peer)
    {
        _peer = peer;
        peer.Fill(0, _keys.Length);
    }

    private void RemoveAll()
    {
        var peer = (ITimedPeer)_peer!;
        foreach (var key in _keys)
        {
            peer.Remove(key);
        }
    }
}
