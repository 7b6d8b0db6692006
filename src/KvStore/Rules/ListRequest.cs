using System.Text;

namespace KvStore.Rules;

/// <summary>A page that was asked for, checked: which keys, after which, and how many at the most.</summary>
internal readonly struct ListRequest(byte[]? prefix, byte[] after, int limit)
{
    /// <summary>What the keys begin with; null when no key can begin with that.</summary>
    public byte[]? Prefix { get; } = prefix;

    /// <summary>The key after which the page begins; empty for the first.</summary>
    public byte[] After { get; } = after;

    /// <summary>The most keys on the page.</summary>
    public int Limit { get; } = limit;

    /// <summary>Reads what a caller asks for.</summary>
    /// <exception cref="KvException">The limit or the cursor is wrong (400), or the prefix is too long (414).</exception>
    public static ListRequest Parse(KvListOptions? options, KvLimits limits)
    {
        var limit = options?.Limit is { } asked and > 0 ? asked : limits.ListKeysMax;
        if (limit > limits.ListKeysMax)
        {
            throw new KvException(
                400, "GET", Invariant($"Invalid key_count_limit of {limit}. Please specify an integer less than {limits.ListKeysMax}."));
        }

        if (!limits.IsListPaged && (options?.Limit > 0 || !string.IsNullOrEmpty(options?.Cursor)))
        {
            throw new KvException(400, "LIST", "Listing by pages is not supported. Please specify neither a limit nor a cursor.");
        }

        var prefix = options?.Prefix ?? "";
        KeyRules.CheckLength(prefix, limits.KeyBytesMax, "GET");
        var after = ListCursor.Parse(options?.Cursor, limits.KeyBytesMax);

        // No key holds an unpaired surrogate, so none begins with one.
        return new ListRequest(KeyRules.IsUnicode(prefix) ? Encoding.UTF8.GetBytes(prefix) : null, after, limit);
    }
}
