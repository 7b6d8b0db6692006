using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;
using KvStore.Memory;

namespace KvStore.Benchmarks.Suites;

/// <summary>
/// How long does a page of 1,000 keys from a random key take? The sorted array and the tree return strings that exist; the namespace
/// and SQLite create their names.
/// </summary>
public class ListPage
{
    private const int PagesPerInvoke = 10;
    private const int Pages = 20 * PagesPerInvoke;

    private KvStorePeer? _kv;
    private string[] _starts = [];
    private KvListOptions[] _pages = [];
    private SqlitePeer? _sqlite;
    private string[] _sorted = [];
    private SortedSet<string> _set = [];
    private int _next;

    public static IEnumerable<int> KeyCounts => Sizes.LargeKeyCounts;

    [ParamsSource(nameof(KeyCounts))]
    public int Keys { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _kv = new KvStorePeer();
        _kv.Fill(0, Keys);
        _sqlite = new SqlitePeer();
        _sqlite.Fill(0, Keys);
        var pages = ListPages.Random(_kv.Namespace, Keys, Pages);
        _starts = pages.Starts;
        _pages = Array.ConvertAll(pages.Cursors, cursor => new KvListOptions { Cursor = cursor });
        _sorted = Workload.Keys(Keys);
        Array.Sort(_sorted, StringComparer.Ordinal);
        _set = new SortedSet<string>(_sorted, StringComparer.Ordinal);
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _kv?.Dispose();
        _sqlite?.Dispose();
    }

    [Benchmark(OperationsPerInvoke = PagesPerInvoke)]
    public int KvStoreListAsync() => _kv!.ListAll(new(_pages, Next(), PagesPerInvoke));

    [Benchmark(OperationsPerInvoke = PagesPerInvoke)]
    public int SortedArray() => SortedNames.ListArray(_sorted, _starts.AsSpan(Next(), PagesPerInvoke), ListPages.KeysPerPage);

    [Benchmark(OperationsPerInvoke = PagesPerInvoke, Baseline = true)]
    public int SortedSet() => SortedNames.ListSet(_set, _starts.AsSpan(Next(), PagesPerInvoke), ListPages.KeysPerPage);

    [Benchmark(OperationsPerInvoke = PagesPerInvoke)]
    public int Sqlite()
    {
        var names = 0;
        foreach (var start in _starts.AsSpan(Next(), PagesPerInvoke))
        {
            names += _sqlite!.List(start, ListPages.KeysPerPage);
        }

        return names;
    }

    private int Next()
    {
        var from = _next;
        _next = (from + PagesPerInvoke) % Pages;
        return from;
    }
}
