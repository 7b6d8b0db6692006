using System.Runtime.CompilerServices;
using KvStore.Benchmarks.Peers;

namespace KvStore.Benchmarks.Quick;

/// <summary>How long does it take to put a value under a key? The namespace copies it, the others keep a reference.</summary>
internal static class PutQuestions
{
    private const int OverwritesMax = 500_000;

    public static void Ask(QuickOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            if (options.Asks("put/new"))
            {
                New(options, keys);
            }
        }

        foreach (var keys in options.KeyCounts(1000, 1_000_000))
        {
            if (options.Asks("put/overwrite"))
            {
                Overwrite(options, keys);
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void New(QuickOptions options, int keys)
    {
        var names = Workload.Keys(keys);
        new SideBySide($"put/new, {keys:N0} keys into an empty store", options) { OperationsPerRound = keys }.Run(
        [
            Inserting(names, static () => new KvStorePeer()),
            Inserting(names, static () => new DictionaryPeer()),
            Inserting(names, static () => new ConcurrentDictionaryPeer()),
            Inserting(names, static () => new TtlDictionaryPeer()),
            Inserting(names, static () => new MemoryCachePeer()),
        ]);
    }

    private static Contender Inserting(string[] names, Func<Peer> create)
    {
        var value = Workload.Value(0);
        using var nameless = create();
        Peer? peer = null;
        return new Contender(nameless.Name, names.Length, 1, range =>
        {
            peer!.PutAll(names.Part(range), value);
            return range.End.Value;
        })
        {
            IsOnce = true,
            Prepare = () =>
            {
                // What was filled in the round before goes now, not in the middle of somebody's measurement.
                GC.Collect();
                peer = create();
            },
            Finish = () =>
            {
                peer!.Dispose();
                peer = null;
            },
        };
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Overwrite(QuickOptions options, int keys)
    {
        var access = Workload.Uniform(keys, Math.Min(Math.Max(keys, 4096), OverwritesMax));
        var value = Workload.Value(1);
        using var kv = new KvStorePeer();
        using var dictionary = new DictionaryPeer();
        using var concurrent = new ConcurrentDictionaryPeer();
        using var ttl = new TtlDictionaryPeer();
        using var cache = new MemoryCachePeer();
        Peer[] peers = [kv, dictionary, concurrent, ttl, cache];
        foreach (var peer in peers)
        {
            peer.Fill(0, keys);
        }

        new SideBySide($"put/overwrite, {keys:N0} keys, uniform", options).Run(
        [
            .. peers.Select(peer => new Contender(peer.Name, access.Length, 1, range =>
            {
                peer.PutAll(access.Part(range), value);
                return range.End.Value;
            })),
        ]);
    }
}
