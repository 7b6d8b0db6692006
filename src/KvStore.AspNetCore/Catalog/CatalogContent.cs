namespace KvStore.Catalog;

/// <summary>A namespace in the catalog file.</summary>
internal readonly record struct CatalogLine(string Id, string Title);

/// <summary>The content of the catalog file: the namespaces, and the ids of deleted namespaces whose files may remain.</summary>
internal sealed record CatalogContent(IReadOnlyList<CatalogLine> Namespaces, IReadOnlyList<string> Deleting)
{
    public static CatalogContent Empty { get; } = new([], []);
}
