namespace KvStore.Reads;

/// <summary>A namespace of this process, or its view from a region.</summary>
internal interface ILocalNamespace : IKvNamespace
{
    /// <summary>Its reads of values as text.</summary>
    TextReads Texts { get; }
}

/// <summary>Ownership of what a namespace returns.</summary>
internal static class LocalNamespaces
{
    /// <summary>
    /// Disposes a large value that was read for the caller alone. A namespace of this process makes a new view for each get; of another
    /// implementation nothing is known, so its values are left to the garbage collector.
    /// </summary>
    public static void DisposeIfOwned(this IKvNamespace kv, in KvValue value)
    {
        if (value.IsLarge && kv is ILocalNamespace)
        {
            value.Dispose();
        }
    }
}
