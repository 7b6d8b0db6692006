using System.Text;

namespace KvStore.Catalog;

/// <summary>What a title may be. It is never a path: directories are named by ids.</summary>
internal static class NamespaceTitle
{
    public const int BytesMax = 512;

    /// <exception cref="KvCatalogException">The title is not allowed.</exception>
    public static void Check(string? title)
    {
        if (string.IsNullOrWhiteSpace(title))
        {
            throw Invalid("A title must not be empty.");
        }

        if (title.Any(char.IsControl))
        {
            throw Invalid("A title must not hold control characters.");
        }

        if (title.Length > BytesMax || Encoding.UTF8.GetByteCount(title) > BytesMax)
        {
            throw Invalid($"A title must be at most {BytesMax} bytes of UTF-8.");
        }

        if (title.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF') && !Rules.KeyRules.IsUnicode(title))
        {
            throw Invalid("A title must be Unicode text: it holds half of a surrogate pair.");
        }

        // Whatever is found by id or title must not be ambiguous.
        if (NamespaceId.IsWellFormed(title))
        {
            throw Invalid("A title must not look like the id of a namespace.");
        }
    }

    private static KvCatalogException Invalid(string message) => new(KvCatalogError.TitleInvalid, message);
}
