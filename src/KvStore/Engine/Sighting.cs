namespace KvStore.Engine;

/// <summary>What a look at a key's most likely place tells.</summary>
internal enum Sighting
{
    /// <summary>Nothing that is certain.</summary>
    None,

    /// <summary>The key is there.</summary>
    Key,

    /// <summary>The key has no record.</summary>
    Absence,
}
