using KvStore.Comparisons.Peers.Maps;

namespace KvStore.Comparisons.Peers;

/// <summary>A store to compare with, or the reason why it is missing on this machine.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="Create">Creates an empty store; null when it is missing here.</param>
/// <param name="MissingBecause">What is missing, for the table.</param>
internal sealed record PeerSource(string Name, Func<Peer>? Create, string? MissingBecause = null)
{
    /// <summary>Whether threads may read and write it at the same time.</summary>
    public bool IsConcurrent { get; init; }

    /// <summary>Whether it can be written after it was filled.</summary>
    public bool IsWritable { get; init; } = true;

    /// <summary>Whether it is a database, which copies keys and values to another heap, and takes microseconds for a get.</summary>
    public bool IsDatabase { get; init; }

    public static PeerSource ConcurrentDictionary { get; } =
        new("ConcurrentDictionary", static () => new MapPeer<ConcurrentDictionaryMap>()) { IsConcurrent = true };

    /// <summary>All peers on the managed heap, KvStore first.</summary>
    public static IReadOnlyList<PeerSource> InMemory { get; } =
    [
        new("KvStore", static () => new KvStorePeer()) { IsConcurrent = true },
        new("Dictionary", static () => new MapPeer<DictionaryMap>()),
        new("FrozenDictionary", static () => new FrozenDictionaryPeer()) { IsWritable = false },
        ConcurrentDictionary,
        new("NonBlocking", static () => new MapPeer<NonBlockingMap>()) { IsConcurrent = true },
        new("ConcurrentDictionary + TTL", static () => new MapPeer<TtlDictionaryMap>()) { IsConcurrent = true },
        new("BitFaster ConcurrentLru", static () => new MapPeer<BitFasterMap>()) { IsConcurrent = true },
        new("MemoryCache", static () => new MapPeer<MemoryCacheMap>()) { IsConcurrent = true },
    ];

    /// <summary>Databases in this process.</summary>
    public static IReadOnlyList<PeerSource> Databases { get; } =
    [
        Database("SQLite", SqlitePeer.MissingBecause, static () => new SqlitePeer()),
        Database("RocksDB", RocksDbPeer.MissingBecause, static () => new RocksDbPeer()),
        Database("LMDB", LmdbPeer.MissingBecause, static () => new LmdbPeer()),
    ];

    /// <summary>A namespace that logs what is written to files, which a long run compacts.</summary>
    public static PeerSource Persistent { get; } =
        new("KvStore with a file log", static () => new KvStorePeer(Durability.Buffered)) { IsConcurrent = true };

    /// <summary>No store, to measure the machine.</summary>
    public static PeerSource None { get; } = new("no store", static () => new NoStorePeer()) { IsConcurrent = true };

    public static IReadOnlyList<PeerSource> All { get; } = [.. InMemory, .. Databases];

    private static PeerSource Database(string name, string? missingBecause, Func<Peer> create) =>
        new(name, missingBecause is null ? create : null, missingBecause) { IsDatabase = true };
}
