using BenchmarkDotNet.Attributes;
using KvStore.Comparisons;
using KvStore.Comparisons.Peers;

namespace KvStore.Benchmarks.Suites;

/// <summary>
/// The base of the suites that read a filled store. One peer is filled for the benchmark that runs, and each invocation reads the next
/// <see cref="KeysPerInvoke"/> keys.
/// </summary>
public abstract class ReadSuite
{
    public const int KeysPerInvoke = 1000;
    private const int AccessesMin = 4 * KeysPerInvoke;
    private const int AccessesMax = 500 * KeysPerInvoke;

    private string[] _access = [];
    private int _next;
    private Peer? _peer;

    public static IEnumerable<int> KeyCounts => Sizes.KeyCounts;

    [ParamsSource(nameof(KeyCounts))]
    public int Keys { get; set; }

    internal Peer Peer => _peer!;

    internal KvStorePeer KvStore => (KvStorePeer)_peer!;

    [GlobalCleanup]
    public void CleanUp() => _peer?.Dispose();

    /// <summary>The accesses of a suite to a number of keys.</summary>
    protected abstract string[] Accesses(int keys, int accesses);

    private protected void SetUp(Peer peer)
    {
        _peer = peer;
        peer.Fill(0, Keys);
        _access = Accesses(Keys, Math.Clamp(Keys, AccessesMin, AccessesMax));
        _next = 0;
    }

    private protected ArraySegment<string> Next()
    {
        var from = _next;
        _next = from + (2 * KeysPerInvoke) > _access.Length ? 0 : from + KeysPerInvoke;
        return new ArraySegment<string>(_access, from, KeysPerInvoke);
    }
}
