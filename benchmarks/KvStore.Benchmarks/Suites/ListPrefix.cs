using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>
/// How long does it take to list the keys with a prefix? About as many keys have it at every size. A store without an order reads all
/// keys.
/// </summary>
public class ListPrefix
{
    private const int PagesPerInvoke = 4;
    private const int Pages = 20 * PagesPerInvoke;
    private const int KeysPerPrefix = 40;

    private KvStorePeer? _kv;
    private KvListOptions[] _pages = [];
    private string[] _prefixes = [];
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
        _sorted = Workload.Keys(Keys);
        Array.Sort(_sorted, StringComparer.Ordinal);
        _set = new SortedSet<string>(_sorted, StringComparer.Ordinal);
        var hexDigits = (int)Math.Round(Math.Log(Keys / (double)KeysPerPrefix, 16));
        _prefixes = [.. Workload.Uniform(Keys, Pages).Select(key => Workload.PrefixOf(key, hexDigits))];
        _pages = Array.ConvertAll(_prefixes, prefix => new KvListOptions { Prefix = prefix });
    }

    [GlobalCleanup]
    public void CleanUp() => _kv?.Dispose();

    [Benchmark(OperationsPerInvoke = PagesPerInvoke)]
    public int KvStoreListAsync() => _kv!.ListAll(new(_pages, Next(), PagesPerInvoke));

    [Benchmark(OperationsPerInvoke = PagesPerInvoke, Baseline = true)]
    public int SortedSet() => SortedNames.ListSet(_set, _prefixes.AsSpan(Next(), PagesPerInvoke), KeysPerPrefix);

    [Benchmark(OperationsPerInvoke = PagesPerInvoke)]
    public int Unordered() => SortedNames.FilterUnordered(_sorted, _prefixes.AsSpan(Next(), PagesPerInvoke), ListPages.KeysPerPage);

    private int Next()
    {
        var from = _next;
        _next = (from + PagesPerInvoke) % Pages;
        return from;
    }
}
