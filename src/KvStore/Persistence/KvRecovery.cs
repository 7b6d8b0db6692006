namespace KvStore;

/// <summary>What opening a persistence provider found.</summary>
public sealed record KvRecovery
{
    /// <summary>The highest revision that any mutation ever had, even one whose key is long gone; 0 when there was none.</summary>
    public long HighestRevision { get; init; }

    /// <summary>The mutations that were handed to the host.</summary>
    public long Mutations { get; init; }

    /// <summary>
    /// What a crash had left half-written at the end of the last log, and was dropped: it was never acknowledged. Null when
    /// there was nothing of the kind.
    /// </summary>
    public KvDamage? TornTail { get; init; }

    /// <summary>What was damaged and is missing, when it was opened read-only; otherwise damage is an error, and this is empty.</summary>
    public IReadOnlyList<KvDamage> Damages { get; init; } = [];
}

/// <summary>A place in a file that cannot be read as it was written.</summary>
/// <param name="File">The path of the file.</param>
/// <param name="Offset">Where in the file, in bytes.</param>
/// <param name="Reason">What is wrong there.</param>
public sealed record KvDamage(string File, long Offset, string Reason);
