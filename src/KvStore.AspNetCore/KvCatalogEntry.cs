namespace KvStore;

/// <summary>A namespace of a catalog, as it was when it was looked up. Immutable.</summary>
public sealed class KvCatalogEntry
{
    internal KvCatalogEntry(string id, string title, IKvNamespace kv, bool isRegistered)
    {
        Id = id;
        Title = title;
        Namespace = kv;
        IsRegistered = isRegistered;
    }

    /// <summary>What the namespace is addressed by: 32 lower-case hexadecimal digits, the same for as long as it exists.</summary>
    public string Id { get; }

    /// <summary>What people call it: unique in the catalog.</summary>
    public string Title { get; }

    /// <summary>
    /// The open namespace: a <see cref="KvNamespace"/> unless it was registered in code as something else. Once it has been
    /// deleted from the catalog, every call of it throws <see cref="ObjectDisposedException"/>; values read before stay.
    /// </summary>
    public IKvNamespace Namespace { get; }

    /// <summary>
    /// Whether it was registered in code (<c>AddKvNamespace</c>). Its title is the registered name, its id follows from that
    /// name, and the catalog neither renames nor deletes it.
    /// </summary>
    public bool IsRegistered { get; }
}
