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
    /// Disposes a large value that only the caller has. A namespace of this process creates a view for each get. Another
    /// implementation may share its values, so they are not disposed here.
    /// </summary>
    public static void DisposeIfOwned(this IKvNamespace kv, in KvValue value)
    {
        if (value.IsLarge && kv is ILocalNamespace)
        {
            value.Dispose();
        }
    }
}
