using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>What does it cost a read that the namespace counts uses, because it evicts entries?</summary>
internal static class EvictQuestions
{
    private const int AccessesMin = 4096;
    private const int AccessesMax = 500_000;

    // More than all keys need, so that nothing leaves: a read that misses would be a shorter one.
    private const long BytesMax = 1L << 30;

    private const string Unlimited = "no budget";
    private const string Refusing = "a budget that refuses";
    private const string Evicting = "a budget that evicts";

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1000, 100_000, 1_000_000))
        {
            yield return new($"evict/get {keys:N0}", session => Gets(session, keys));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Gets(Session session, int keys)
    {
        (string Name, KvStorePeer Peer)[] peers =
        [
            (Unlimited, new()),
            (Refusing, new(new KvMemoryOptions { BytesMax = BytesMax, WhenFull = KvMemoryPolicy.Refuse })),
            (Evicting, new(new KvMemoryOptions { BytesMax = BytesMax, WhenFull = KvMemoryPolicy.Evict })),
        ];
        foreach (var (_, peer) in peers)
        {
            peer.Fill(0, keys);
        }

        var access = Workload.Uniform(keys, Math.Clamp(keys, AccessesMin, AccessesMax));
        Compare("TryGet", static (peer, part) => peer.GetAll(part));
        Compare("GetBytesAsync", static (peer, part) => peer.GetBytesAll(part));
        Compare("GetTextAsync", static (peer, part) => peer.GetTextAll(part));
        foreach (var (_, peer) in peers)
        {
            peer.Dispose();
        }

        void Compare(string read, Func<KvStorePeer, ArraySegment<string>, int> run) =>
            new SideBySide($"evict/get: {read} of a key that is there, {keys:N0} keys, uniform; ratio to no budget", session)
            {
                Baseline = Unlimited,
            }.Run([.. peers.Select(peer => new Contender(peer.Name, access.Length, 1, range => run(peer.Peer, access.Part(range))))]);
    }
}
