using KvStore.Rules;

namespace KvStore;

/// <summary>
/// Checks arguments against the limits of a namespace before it is called, with the exceptions that the namespace would throw. For
/// servers and forms that refuse a whole request when one entry of it is wrong. Safe to call from any thread.
/// </summary>
public static class KvLimitsExtensions
{
    /// <summary>Checks a key.</summary>
    /// <param name="limits">The limits.</param>
    /// <param name="key">The key.</param>
    /// <param name="operation">The operation that the exception names: <c>GET</c>, <c>PUT</c> or <c>DELETE</c>.</param>
    /// <exception cref="KvArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    public static void CheckKey(this KvLimits limits, string key, string operation)
    {
        ArgumentNullException.ThrowIfNull(limits);
        KeyRules.Check(key, limits.KeyBytesMax, operation);
    }

    /// <summary>Checks a prefix of a listing.</summary>
    /// <param name="limits">The limits.</param>
    /// <param name="prefix">The prefix; it may be empty.</param>
    /// <exception cref="KvException">The prefix is longer than any key (414).</exception>
    public static void CheckPrefix(this KvLimits limits, string prefix)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentNullException.ThrowIfNull(prefix);
        KeyRules.CheckLength(prefix, limits.KeyBytesMax, "GET", nameof(prefix));
    }

    /// <summary>Checks metadata.</summary>
    /// <param name="limits">The limits.</param>
    /// <param name="metadata">The metadata. Its length counts without white space.</param>
    /// <exception cref="KvException">The metadata is too long (413).</exception>
    public static void CheckMetadata(this KvLimits limits, KvMetadata metadata)
    {
        ArgumentNullException.ThrowIfNull(limits);
        _ = MetadataCodec.Encode(metadata, limits.MetadataBytesMax);
    }

    /// <summary>
    /// Checks a put: its key, the length of its value, and its options. The size of the namespace and the rate of its writes are
    /// not checked.
    /// </summary>
    /// <param name="limits">The limits.</param>
    /// <param name="key">The key.</param>
    /// <param name="valueBytes">The length of the value in bytes.</param>
    /// <param name="options">The options; null for none.</param>
    /// <param name="now">The time from which an expiration counts.</param>
    /// <exception cref="KvArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">An argument is not allowed; <see cref="KvException.ParamName"/> names it.</exception>
    public static void CheckPut(this KvLimits limits, string key, long valueBytes, KvPutOptions? options, DateTimeOffset now)
    {
        limits.CheckKey(key, "PUT");
        if (options is not null)
        {
            _ = ExpirationRules.Check(options, limits, now, name: null, key);
            limits.CheckMetadata(options.Metadata);
        }

        ValueLimit.Check(valueBytes, limits.ValueBytesMax);
    }
}
