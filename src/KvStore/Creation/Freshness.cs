namespace KvStore.Creation;

/// <summary>What an entry is to a caller who would otherwise create it.</summary>
internal enum Freshness
{
    /// <summary>There is none.</summary>
    Missing,

    /// <summary>It is returned.</summary>
    Fresh,

    /// <summary>It is returned, and one caller refreshes it ahead.</summary>
    Eager,

    /// <summary>It is old, and is returned all the same while one caller refreshes it.</summary>
    Stale,

    /// <summary>It is returned only where the factory fails.</summary>
    OnlyOnError,
}
