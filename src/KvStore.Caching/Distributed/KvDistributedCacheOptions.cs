using KvStore.Keys;

namespace KvStore;

/// <summary>The options of a distributed cache in a namespace.</summary>
public sealed class KvDistributedCacheOptions
{
    /// <summary>What the keys of the cache begin with in the namespace.</summary>
    public const string DefaultPrefix = "cache/";

    private string _prefix = DefaultPrefix;

    /// <summary>
    /// What the keys of the cache begin with in the namespace, so that it can be shared with other adapters and with the application. Default
    /// <c>cache/</c>; Unicode of at most 256 bytes in UTF-8. Empty for a namespace that has nothing else in it.
    /// </summary>
    /// <exception cref="ArgumentException">The prefix is not Unicode, or too long.</exception>
    public string Prefix
    {
        get => _prefix;
        set
        {
            EntryKeys.Check(value, nameof(Prefix));
            _prefix = value;
        }
    }

    /// <summary>
    /// The key of the service, for an application that has several distributed caches, or one that only
    /// <c>HybridCacheOptions.DistributedCacheServiceKey</c> shall find. Default null: the cache is the service without a key.
    /// </summary>
    public object? ServiceKey { get; set; }
}
