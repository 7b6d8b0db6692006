using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;
using KvStore.Comparisons.Peers.Maps;
using KvStore.Records;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// What is the lower bound of a read: a page that only creates its names, text that is only decoded?
/// </summary>
internal static class ReadFloorQuestions
{
    private const int Pages = 200;

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.IsShort ? [2000] : options.KeyCounts(1_000_000))
        {
            yield return new($"floor/page {keys:N0}", session => Page(session, keys));
        }

        foreach (var keys in options.KeyCounts(1000, 100_000, 1_000_000))
        {
            yield return new($"floor/text {keys:N0}", session => Text(session, keys));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Page(Session session, int keys)
    {
        using var kv = new KvStorePeer();
        kv.Fill(0, keys);
        var pages = Array.ConvertAll(ListPages.Random(kv.Namespace, keys, Pages).Cursors, cursor => new KvListOptions { Cursor = cursor });
        var bare = new BarePage(keys);
        var random = new Random(7);
        var starts = Enumerable.Range(0, Pages).Select(_ => random.Next(keys - ListPages.KeysPerPage)).ToArray();
        const string Bare = "names of records at random places";
        new SideBySide($"floor/page: {ListPages.KeysPerPage:N0} names, {keys:N0} keys, against making nothing but the names", session)
        {
            Baseline = Bare,
            Unit = "us/page",
            NanosecondsPerUnit = 1000,
            OperationsPerRound = 400,
            StepsPerCallMax = 4,
        }.Run(
        [
            new("KvStore ListAsync", pages.Length, 1, range => kv.ListAll(pages.Part(range))),
            new(Bare, starts.Length, 1, range => starts[range].Sum(start => bare.Read(start, ListPages.KeysPerPage))),
        ]);
    }

    // A store of strings returns a reference and takes twice the bytes. A store of bytes creates a string.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Text(Session session, int keys)
    {
        var access = Workload.Uniform(keys, Math.Clamp(keys, 4096, 500_000));
        using var kv = new KvStorePeer();
        using var cache = new MapPeer<MemoryCacheMap>();
        kv.Fill(0, keys);
        cache.Fill(0, keys);
        const string Cache = "MemoryCache, a reference";
        new SideBySide($"floor/text: {keys:N0} keys, uniform, against what cannot be left out where text is not kept", session)
        {
            Baseline = Cache,
        }.Run(
        [
            new("KvStore GetTextAsync", access.Length, 1, range => kv.GetTextAll(access.Part(range))),
            new("KvStore TryGet", access.Length, 1, range => kv.GetAll(access.Part(range))),
            new("KvStore TryGet, a new string", access.Length, 1, range => kv.DecodeAll(access.Part(range))),
            new("a new string, the bytes at hand", access.Length, 1, range => NewStrings(range)),
            new(Cache, access.Length, 1, range => cache.GetAll(access.Part(range))),
        ]);
    }

    private static int NewStrings(Range range)
    {
        var bytes = Workload.Value(0);
        var characters = 0;
        for (var i = range.Start.Value; i < range.End.Value; i++)
        {
            characters += Utf8Text.Decode(bytes).Length;
        }

        return characters;
    }
}
