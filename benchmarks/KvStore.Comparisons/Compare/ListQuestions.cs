using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>How long does a page of a list take, at any position and any size of the namespace?</summary>
internal static class ListQuestions
{
    private const int Pages = 200;

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.IsShort ? [2000] : options.KeyCounts(10_000, 1_000_000))
        {
            yield return new($"list/cursor {keys:N0}", session => FromCursor(session, keys));
            yield return new($"list/prefix {keys:N0}", session => ByPrefix(session, keys));
            yield return new($"list/near {keys:N0}", session => Near(session, keys));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FromCursor(Session session, int keys)
    {
        using var kv = new KvStorePeer();
        kv.Fill(0, keys);
        using var databases = new PeerSet(session, PeerSource.Databases, keys);
        var sorted = Workload.Keys(keys);
        Array.Sort(sorted, StringComparer.Ordinal);
        var set = new SortedSet<string>(sorted, StringComparer.Ordinal);
        var (cursors, starts) = ListPages.Random(kv.Namespace, keys, Pages);
        var pages = Array.ConvertAll(cursors, cursor => new KvListOptions { Cursor = cursor });
        const string Tree = "SortedSet (strings exist)";
        new SideBySide($"list/cursor: a page of {ListPages.KeysPerPage:N0} names from a random key, {keys:N0} keys; ratio to SortedSet", session)
        {
            Baseline = Tree,
            Unit = "us/page",
            NanosecondsPerUnit = 1000,
            OperationsPerRound = 400,
            StepsPerCallMax = 4,
            SummaryColumn = keys >= 1_000_000 ? "list 1,000 of 1 M: us (x SortedSet)" : null,
            Missing = databases.Missing,
        }.Run(
        [
            new("KvStore ListAsync", pages.Length, 1, range => kv.ListAll(pages.Part(range))),
            new("sorted array (strings exist)", starts.Length, 1, range => SortedNames.ListArray(sorted, starts.AsSpan(range), ListPages.KeysPerPage)),
            new(Tree, starts.Length, 1, range => SortedNames.ListSet(set, starts.AsSpan(range), ListPages.KeysPerPage)),
            .. databases.Present.Select(entry => new Contender(
                entry.Source.Name, starts.Length, 1, range => starts[range].Sum(start => entry.Peer.List(start, ListPages.KeysPerPage)))),
        ]);
    }

    // A few pages again and again. They are in the cache, so the time is that of the work.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Near(Session session, int keys)
    {
        const int NearPages = 2;
        using var kv = new KvStorePeer();
        kv.Fill(0, keys);
        var pages = Array.ConvertAll(ListPages.Random(kv.Namespace, keys, NearPages).Cursors, cursor => new KvListOptions { Cursor = cursor });
        new SideBySide($"list/near: {NearPages} pages of {ListPages.KeysPerPage:N0} names again and again, {keys:N0} keys", session)
        {
            Unit = "us/page",
            NanosecondsPerUnit = 1000,
            OperationsPerRound = 400,
            StepsPerCallMax = NearPages,
        }.Run([new("KvStore ListAsync", NearPages, 1, range => kv.ListAll(pages.Part(range)))]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ByPrefix(Session session, int keys)
    {
        // The number of hex digits that leaves about a page.
        var hexDigits = Math.Max(0, (int)Math.Round(Math.Log(keys / (double)ListPages.KeysPerPage, 16)));
        using var kv = new KvStorePeer();
        kv.Fill(0, keys);
        var sorted = Workload.Keys(keys);
        Array.Sort(sorted, StringComparer.Ordinal);
        var prefixes = Workload.Uniform(keys, Pages).Select(key => Workload.PrefixOf(key, hexDigits)).ToArray();
        var pages = Array.ConvertAll(prefixes, prefix => new KvListOptions { Prefix = prefix });
        var keysPerPage = kv.ListAll(pages) / (double)pages.Length;
        List<Contender> contenders =
        [
            new("KvStore ListAsync", pages.Length, 1, range => kv.ListAll(pages.Part(range))),
        ];
        if (keys <= 10_000)
        {
            contenders.Add(new(
                "filter all names", prefixes.Length, 1, range => SortedNames.FilterUnordered(sorted, prefixes.AsSpan(range), ListPages.KeysPerPage)));
        }

        new SideBySide($"list/prefix: {hexDigits} digits of the key, {keysPerPage:N0} keys on a page, {keys:N0} keys", session)
        {
            Unit = "us/page",
            NanosecondsPerUnit = 1000,
            OperationsPerRound = 400,
            StepsPerCallMax = 4,
        }.Run(contenders);
    }
}
