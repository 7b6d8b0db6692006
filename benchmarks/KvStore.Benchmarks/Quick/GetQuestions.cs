using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Benchmarks.Peers;

namespace KvStore.Benchmarks.Quick;

/// <summary>How long does it take to read a key?</summary>
internal static class GetQuestions
{
    private const int AccessesMin = 4096;
    private const int AccessesMax = 500_000;
    private const int GroupKeys = 100;

    private static readonly string[] s_questions = ["get/hit", "get/zipf", "get/read", "get/miss", "get/many"];

    public static void Ask(QuickOptions options)
    {
        if (!s_questions.Any(options.Asks))
        {
            return;
        }

        var sizes = options.KeyCounts(1000, 100_000, 1_000_000);
        foreach (var keys in sizes)
        {
            Ask(options, keys, withZipf: keys == sizes.Max());
        }
    }

    // In a method of its own, so that nothing keeps the stores of one size alive while the next is measured.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Ask(QuickOptions options, int keys, bool withZipf)
    {
        using var kv = new KvStorePeer();
        Peer[] others =
            [new DictionaryPeer(), new FrozenDictionaryPeer(), new ConcurrentDictionaryPeer(), new TtlDictionaryPeer(), new MemoryCachePeer()];
        kv.Fill(0, keys);
        foreach (var peer in others)
        {
            peer.Fill(0, keys);
        }

        var accesses = Math.Clamp(keys, AccessesMin, AccessesMax);
        if (options.Asks("get/hit"))
        {
            Hit(options, $"get/hit, {keys:N0} keys, uniform", kv, others, Workload.Uniform(keys, accesses));
        }

        if (options.Asks("get/zipf") && withZipf)
        {
            Hit(options, $"get/zipf: hit, {keys:N0} keys, Zipf 0.99", kv, others, Workload.Zipf(keys, accesses));
        }

        if (options.Asks("get/read"))
        {
            var access = Workload.Uniform(keys, accesses);
            new SideBySide($"get/read: hit and the first byte of the value read, {keys:N0} keys, uniform", options).Run(
                [.. others.Prepend(kv).Select(peer => new Contender(peer.Name, access.Length, 1, range => peer.GetAndReadAll(access.Part(range))))]);
        }

        if (options.Asks("get/miss"))
        {
            new SideBySide($"get/miss, {keys:N0} keys", options).Run([.. Getting(Workload.Absent(keys, accesses), others.Prepend(kv))]);
        }

        if (options.Asks("get/many"))
        {
            var concurrent = others.OfType<ConcurrentDictionaryPeer>().Single();
            Many(options, keys, kv, concurrent, Workload.Uniform(keys, accesses - (accesses % GroupKeys)));
        }

        foreach (var peer in others)
        {
            peer.Dispose();
        }
    }

    private static void Hit(QuickOptions options, string title, KvStorePeer kv, Peer[] others, string[] access)
    {
        var utf8 = Array.ConvertAll(access, Encoding.UTF8.GetBytes);
        new SideBySide(title, options).Run(
        [
            new("KvStore TryGet", access.Length, 1, range => kv.GetAll(access.Part(range))),
            new("KvStore TryGet UTF-8", utf8.Length, 1, range => kv.GetUtf8All(utf8.Part(range))),
            new("KvStore GetAsync", access.Length, 1, range => kv.GetEntryAll(access.Part(range))),
            new("KvStore GetBytesAsync", access.Length, 1, range => kv.GetBytesAll(access.Part(range))),
            new("KvStore GetTextAsync", access.Length, 1, range => kv.GetTextAll(access.Part(range))),
            .. Getting(access, others),
        ]);
    }

    private static void Many(QuickOptions options, int keys, KvStorePeer kv, ConcurrentDictionaryPeer concurrent, string[] access)
    {
        var groups = access.Chunk(GroupKeys).ToArray();
        const string Single = "KvStore 100 x GetAsync";
        new SideBySide($"get/many: groups of {GroupKeys} keys, per key, {keys:N0} keys, uniform; ratio to 100 single gets", options)
        {
            Baseline = Single,
            StepsPerCallMax = 8,
        }.Run(
        [
            new("KvStore GetManyAsync", groups.Length, GroupKeys, range => kv.GetManyAll(groups.Part(range))),
            new(Single, groups.Length, GroupKeys, range => kv.GetEntryAll(access.Part(InKeys(range)))),
            new("KvStore 100 x TryGet", groups.Length, GroupKeys, range => kv.GetAll(access.Part(InKeys(range)))),
            new("ConcurrentDictionary 100 x", groups.Length, GroupKeys, range => concurrent.GetAll(access.Part(InKeys(range)))),
        ]);
    }

    private static Range InKeys(Range groups) => (groups.Start.Value * GroupKeys)..(groups.End.Value * GroupKeys);

    private static IEnumerable<Contender> Getting(string[] access, IEnumerable<Peer> peers) =>
        peers.Select(peer => new Contender(peer.Name, access.Length, 1, range => peer.GetAll(access.Part(range))));
}
