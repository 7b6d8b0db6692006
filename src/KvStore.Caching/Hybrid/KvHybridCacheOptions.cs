using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore;

/// <summary>How the <see cref="HybridCache"/> in a namespace behaves: the options of <c>services.AddKvHybridCache</c>.</summary>
public sealed class KvHybridCacheOptions
{
    /// <summary>
    /// What the keys of the entries begin with. Default <c>hybrid/</c>; at most 256 bytes of UTF-8. Removal by the tag <c>*</c> deletes all keys
    /// that begin with it, so leave it empty only where the namespace has nothing else.
    /// </summary>
    public string Prefix { get; set; } = "hybrid/";

    /// <summary>
    /// The options of an entry for what a call leaves out: of its <see cref="HybridCacheEntryOptions"/> each property by itself.
    /// Without them an entry lives for five minutes.
    /// </summary>
    public HybridCacheEntryOptions? DefaultEntryOptions { get; set; }

    /// <summary>
    /// The longest value that is cached, in bytes of its serialized form. Default 1 MiB; 1 byte to 25 MiB. A longer value is returned to
    /// its caller, is not cached, and is an error in the log.
    /// </summary>
    public long MaximumPayloadBytes { get; set; } = 1 << 20;

    /// <summary>The longest key in characters. Default 1,024. A longer key is an error in the log, and its value is not cached.</summary>
    public int MaximumKeyLength { get; set; } = 1024;
}
