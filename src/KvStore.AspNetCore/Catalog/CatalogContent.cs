namespace KvStore.Catalog;

/// <summary>A namespace in the catalogue file.</summary>
internal readonly record struct CatalogLine(string Id, string Title);

/// <summary>What the catalogue file says: the namespaces there are, and those whose files are still being removed.</summary>
internal sealed record CatalogContent(IReadOnlyList<CatalogLine> Namespaces, IReadOnlyList<string> Deleting)
{
    public static CatalogContent Empty { get; } = new([], []);
}
