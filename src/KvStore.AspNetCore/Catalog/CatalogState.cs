namespace KvStore.Catalog;

/// <summary>The namespaces of a catalog at one moment. Immutable, so readers need no lock.</summary>
internal sealed class CatalogState
{
    private readonly Dictionary<string, KvCatalogEntry> _byId;
    private readonly Dictionary<string, KvCatalogEntry> _byTitle;

    public CatalogState(IEnumerable<KvCatalogEntry> entries, IReadOnlyList<string> deleting)
    {
        Entries = [.. entries.OrderBy(entry => entry.Title, StringComparer.Ordinal)];
        Deleting = deleting;
        _byId = Entries.ToDictionary(entry => entry.Id, StringComparer.Ordinal);
        _byTitle = Entries.ToDictionary(entry => entry.Title, StringComparer.Ordinal);
    }

    /// <summary>All namespaces, in the order of their titles.</summary>
    public IReadOnlyList<KvCatalogEntry> Entries { get; }

    /// <summary>The ids of deleted namespaces whose files may remain.</summary>
    public IReadOnlyList<string> Deleting { get; }

    public KvCatalogEntry? ById(ReadOnlySpan<char> id) =>
        _byId.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(id, out var entry) ? entry : null;

    public KvCatalogEntry? ByTitle(string title) => _byTitle.GetValueOrDefault(title);

    /// <summary>The content of the catalog file. Namespaces that are registered in code are not part of it.</summary>
    public CatalogContent ToContent() =>
        new([.. Entries.Where(entry => !entry.IsRegistered).Select(entry => new CatalogLine(entry.Id, entry.Title))], Deleting);
}
