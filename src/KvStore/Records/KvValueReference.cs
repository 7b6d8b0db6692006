namespace KvStore;

/// <summary>Where a persistence provider keeps a large value. A mutation has it in place of the bytes.</summary>
/// <param name="Id">The number that the provider gave; positive, and never given twice.</param>
/// <param name="Length">The length of the value in bytes.</param>
public readonly record struct KvValueReference(long Id, long Length)
{
    /// <summary>
    /// A number that the provider also keeps with the value itself, so that it notices a value that has the number of another one by
    /// mistake; 0 when it keeps none. Pass it on unchanged.
    /// </summary>
    public long Check { get; init; }

    /// <summary>Whether this refers to nothing: the value is in the mutation itself.</summary>
    public bool IsNone => Id == 0;
}
