namespace KvStore;

/// <summary>What opening a persistence provider found.</summary>
public sealed record KvRecovery
{
    /// <summary>The highest revision that any mutation ever had, even one whose key is long gone; 0 when there was none.</summary>
    public long HighestRevision { get; init; }

    /// <summary>How many mutations were recovered.</summary>
    public long Mutations { get; init; }

    /// <summary>
    /// The record that a crash left half-written at the end of the last log. It was never acknowledged, and is dropped. Null when there
    /// was none.
    /// </summary>
    public KvDamage? TornTail { get; init; }

    /// <summary>
    /// The damaged places whose records are missing, when it was opened with <see cref="FilePersistenceOptions.ReadOnly"/>. Empty
    /// otherwise, because damage is then an error.
    /// </summary>
    public IReadOnlyList<KvDamage> Damages { get; init; } = [];
}

/// <summary>A place in a file that cannot be read as it was written.</summary>
/// <param name="File">The path of the file.</param>
/// <param name="Offset">Where in the file, in bytes.</param>
/// <param name="Reason">What is wrong there.</param>
public sealed record KvDamage(string File, long Offset, string Reason);
