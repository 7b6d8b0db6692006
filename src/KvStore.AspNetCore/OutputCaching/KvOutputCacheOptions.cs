using KvStore.Keys;

namespace KvStore;

/// <summary>How the output cache is kept in a namespace: see <c>services.AddKvOutputCache</c>.</summary>
public sealed class KvOutputCacheOptions
{
    /// <summary>What the keys of the pages begin with, at most 256 bytes. Default <c>pages/</c>.</summary>
    public string Prefix { get; set; } = "pages/";

    /// <summary>Checks every option.</summary>
    /// <exception cref="ArgumentException">An option is wrong; the message names it, its value and what is allowed.</exception>
    internal void Validate() => EntryKeys.Check(Prefix, $"{nameof(KvOutputCacheOptions)}.{nameof(Prefix)}");
}
