using System.Text;

namespace KvStore.Rules;

/// <summary>A checked request for a page of keys.</summary>
internal readonly struct ListRequest(byte[]? prefix, byte[] after, int limit)
{
    /// <summary>The prefix of the keys; null when no key can have it.</summary>
    public byte[]? Prefix { get; } = prefix;

    /// <summary>The key after which the page begins; empty for the first.</summary>
    public byte[] After { get; } = after;

    /// <summary>The most keys on the page.</summary>
    public int Limit { get; } = limit;

    /// <summary>Checks the options of a list.</summary>
    /// <exception cref="KvException">The limit or the cursor is wrong (400), or the prefix is too long (414).</exception>
    public static ListRequest Parse(KvListOptions? options, KvLimits limits)
    {
        var limit = options?.Limit is { } asked and > 0 ? asked : limits.ListKeysMax;
        if (limit > limits.ListKeysMax)
        {
            throw new KvException(400, "GET", Invariant($"Invalid key_count_limit of {limit}. Please specify an integer less than {limits.ListKeysMax}."))
            {
                ParamName = "limit",
            };
        }

        if (!limits.IsListPaged && (options?.Limit > 0 || !string.IsNullOrEmpty(options?.Cursor)))
        {
            throw new KvException(400, "LIST", "Listing by pages is not supported. Please specify neither a limit nor a cursor.")
            {
                ParamName = options?.Limit > 0 ? "limit" : "cursor",
            };
        }

        var prefix = options?.Prefix ?? "";
        KeyRules.CheckLength(prefix, limits.KeyBytesMax, "GET", "prefix");
        var after = ListCursor.Parse(options?.Cursor, limits.KeyBytesMax);

        // No key holds an unpaired surrogate, so none begins with one.
        return new ListRequest(KeyRules.IsUnicode(prefix) ? Encoding.UTF8.GetBytes(prefix) : null, after, limit);
    }
}
