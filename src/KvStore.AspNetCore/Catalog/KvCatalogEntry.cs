namespace KvStore;

/// <summary>A namespace of a catalog, as it was when it was found. Immutable.</summary>
public sealed class KvCatalogEntry
{
    internal KvCatalogEntry(string id, string title, IKvNamespace kv, bool isRegistered)
    {
        Id = id;
        Title = title;
        Namespace = kv;
        IsRegistered = isRegistered;
    }

    /// <summary>The id that requests use: 32 lower-case hexadecimal digits, which never change.</summary>
    public string Id { get; }

    /// <summary>The title that people see. It is unique in the catalog and can be changed.</summary>
    public string Title { get; }

    /// <summary>
    /// The open namespace: a <see cref="KvNamespace"/>, unless code registered another implementation. After it has been deleted
    /// from the catalog, every call of it throws <see cref="ObjectDisposedException"/>; values that were read before stay readable.
    /// </summary>
    public IKvNamespace Namespace { get; }

    /// <summary>
    /// Whether it was registered in code (<c>AddKvNamespace</c>). Then its title is the registered name, its id is computed from that
    /// name, and the catalog can neither rename nor delete it.
    /// </summary>
    public bool IsRegistered { get; }
}
