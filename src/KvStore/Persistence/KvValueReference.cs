namespace KvStore;

/// <summary>Where a persistence provider keeps a large value: what stands in a mutation in place of its bytes.</summary>
/// <param name="Id">The number that the provider gave; positive, and never given twice.</param>
/// <param name="Length">The length of the value in bytes.</param>
public readonly record struct KvValueReference(long Id, long Length)
{
    /// <summary>
    /// What the provider also keeps with the value itself, so that a value that got the number of another one by mistake is
    /// noticed; 0 when it keeps nothing of the kind. Pass it on as it is.
    /// </summary>
    public long Check { get; init; }

    /// <summary>Whether this refers to nothing: the value is in the mutation itself.</summary>
    public bool IsNone => Id == 0;
}
