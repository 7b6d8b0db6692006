using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Comparisons.Peers;
using KvStore.Comparisons.Peers.Maps;

namespace KvStore.Comparisons.Compare;

/// <summary>How long does it take to read a key?</summary>
internal static class GetQuestions
{
    private const int AccessesMin = 4096;
    private const int AccessesMax = 500_000;
    private const int GroupKeys = 100;

    /// <summary>The share of the keys that are hot, which is so small that each key is read again and again.</summary>
    private const int HotKeys = 1000;

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1000, 100_000, 1_000_000))
        {
            yield return new($"get/hit {keys:N0}", session => Hit(session, keys));
        }

        var most = options.KeyCounts(1_000_000).Max();
        yield return new($"get/zipf {most:N0}", session => Zipf(session, most));
        yield return new($"get/read {most:N0}", session => Read(session, most));
        yield return new($"get/miss {most:N0}", session => Miss(session, most));
        yield return new($"get/typed {HotKeys:N0}", Typed);
        yield return new($"get/many {most:N0}", session => Many(session, most));
    }

    // Each question is a method of its own, so that no local keeps its stores alive while the next question is measured.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Hit(Session session, int keys)
    {
        using var peers = new PeerSet(session, PeerSource.All, keys);
        Gets(session, $"get/hit: a key that is there, {keys:N0} keys, uniform", $"get, {Short(keys)} keys: ns (x)", peers, Uniform(keys));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Zipf(Session session, int keys)
    {
        using var peers = new PeerSet(session, PeerSource.InMemory, keys);
        Gets(
            session, $"get/zipf: a key that is there, {keys:N0} keys, Zipf 0.99", summaryColumn: null, peers, Workload.Zipf(keys, Accesses(keys)));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Read(Session session, int keys)
    {
        using var peers = new PeerSet(session, PeerSource.InMemory, keys);
        new SideBySide($"get/read: a key that is there, and the first byte of its value, {keys:N0} keys, uniform", session)
        {
            Missing = peers.Missing,
        }.Run([.. peers.Doing(Uniform(keys), static (peer, part) => peer.GetAndReadAll(part))]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Miss(Session session, int keys)
    {
        using var peers = new PeerSet(session, PeerSource.InMemory, keys);
        new SideBySide($"get/miss: a key that is not there, {keys:N0} keys", session) { Missing = peers.Missing }.Run(
            [.. peers.Doing(Workload.Absent(keys, Accesses(keys)), static (peer, part) => peer.GetAll(part))]);
    }

    // Text and JSON of hot keys, which the namespace caches decoded, compared with a dictionary of arrays.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Typed(Session session)
    {
        using var kv = new KvStorePeer();
        using var documents = new KvStorePeer();
        using var concurrent = new MapPeer<ConcurrentDictionaryMap>();
        kv.Fill(0, HotKeys);
        concurrent.Fill(0, HotKeys);
        documents.FillJson(0, HotKeys);
        var access = Uniform(HotKeys);
        new SideBySide($"get/typed: text and JSON of {HotKeys:N0} hot keys; ratio to ConcurrentDictionary's array", session).Run(
        [
            new("KvStore GetBytesAsync", access.Length, 1, range => kv.GetBytesAll(access.Part(range))),
            new("KvStore GetTextAsync", access.Length, 1, range => kv.GetTextAll(access.Part(range))),
            new("KvStore GetJsonAsync", access.Length, 1, range => documents.GetJsonAll(access.Part(range))),
            new(SideBySide.ConcurrentDictionary, access.Length, 1, range => concurrent.GetAll(access.Part(range))),
        ]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Many(Session session, int keys)
    {
        using var kv = new KvStorePeer();
        using var concurrent = new MapPeer<ConcurrentDictionaryMap>();
        kv.Fill(0, keys);
        concurrent.Fill(0, keys);
        var accesses = Accesses(keys);
        var access = Workload.Uniform(keys, accesses - (accesses % GroupKeys));
        var groups = access.Chunk(GroupKeys).ToArray();
        const string Single = "KvStore 100 x GetAsync";
        new SideBySide($"get/many: groups of {GroupKeys} keys, per key, {keys:N0} keys, uniform; ratio to 100 single gets", session)
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

    private static void Gets(Session session, string title, string? summaryColumn, PeerSet peers, string[] access)
    {
        List<Contender> contenders = [];
        if (peers.KvStore is { } kv)
        {
            var utf8 = Array.ConvertAll(access, Encoding.UTF8.GetBytes);
            contenders =
            [
                new("KvStore TryGet UTF-8", utf8.Length, 1, range => kv.GetUtf8All(utf8.Part(range))),
                new("KvStore GetAsync", access.Length, 1, range => kv.GetEntryAll(access.Part(range))),
                new("KvStore GetBytesAsync", access.Length, 1, range => kv.GetBytesAll(access.Part(range))),
                new("KvStore GetTextAsync", access.Length, 1, range => kv.GetTextAll(access.Part(range))),
            ];
        }

        contenders.AddRange(peers.Doing(access, static (peer, part) => peer.GetAll(part)).Select(
            contender => contender.Name == "KvStore" ? contender with { Name = "KvStore TryGet" } : contender));
        new SideBySide(title, session) { SummaryColumn = summaryColumn, Missing = peers.Missing }.Run(contenders);
    }

    private static int Accesses(int keys) => Math.Clamp(keys, AccessesMin, AccessesMax);

    private static string[] Uniform(int keys) => Workload.Uniform(keys, Accesses(keys));

    private static string Short(int keys) => keys >= 1_000_000 ? $"{keys / 1_000_000} M" : $"{keys / 1000} k";

    private static Range InKeys(Range groups) => (groups.Start.Value * GroupKeys)..(groups.End.Value * GroupKeys);
}
