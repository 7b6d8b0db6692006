namespace KvStore;

/// <summary>Why a catalog refused a change.</summary>
public enum KvCatalogError
{
    /// <summary>No namespace has that id.</summary>
    NotFound,

    /// <summary>Another namespace has that title.</summary>
    TitleTaken,

    /// <summary>The title is empty, too long, or holds characters that no title may hold.</summary>
    TitleInvalid,

    /// <summary>The namespace was registered in code, and only code can rename or remove it.</summary>
    Registered,
}

/// <summary>A catalog refused a change. Nothing has changed.</summary>
public sealed class KvCatalogException : Exception
{
    /// <summary>Makes the exception.</summary>
    /// <param name="error">The reason.</param>
    /// <param name="message">What was wrong and what is allowed.</param>
    public KvCatalogException(KvCatalogError error, string message)
        : base(message) => Error = error;

    /// <summary>The reason.</summary>
    public KvCatalogError Error { get; }
}
