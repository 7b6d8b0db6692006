namespace KvStore.Reads;

/// <summary>A namespace of this process, or its view from a region.</summary>
internal interface ILocalNamespace : IKvNamespace
{
    /// <summary>What it accepts.</summary>
    KvLimits Limits { get; }

    /// <summary>Its reads of values as text.</summary>
    TextReads Texts { get; }

    /// <summary>Reads the newest version of a key, also where a region does not see that yet. The caller disposes a large value.</summary>
    KvValue ReadNewest(string key);
}

/// <summary>A namespace that shows keys of another one under other names.</summary>
internal interface IRenamedNamespace : IKvNamespace
{
    /// <summary>The other one, which shows its keys as they are.</summary>
    IKvNamespace Inner { get; }

    /// <summary>The key of the other namespace.</summary>
    /// <param name="key">The key in this one.</param>
    /// <param name="operation">The operation, for the messages of exceptions.</param>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414).</exception>
    string InnerKeyOf(string key, string operation);
}

/// <summary>Ownership of what a namespace returns.</summary>
internal static class LocalNamespaces
{
    /// <summary>
    /// Disposes a large value that only the caller has. A namespace of this process creates a view for each get. Another
    /// implementation may share its values, so they are not disposed here.
    /// </summary>
    public static void DisposeIfOwned(this IKvNamespace kv, in KvValue value)
    {
        if (value.IsLarge && (kv is IRenamedNamespace renamed ? renamed.Inner : kv) is ILocalNamespace)
        {
            value.Dispose();
        }
    }
}
