namespace KvStore;

/// <summary>A reference to a large value that a persistence provider keeps. A mutation has it instead of the bytes.</summary>
/// <param name="Id">The number that the provider gave; positive, and never given twice.</param>
/// <param name="Length">The length of the value in bytes.</param>
public readonly record struct KvValueReference(long Id, long Length)
{
    /// <summary>
    /// A check number that the provider also keeps with the value, so that it notices when the value is not the right one; 0 when it
    /// keeps none. Pass it on unchanged.
    /// </summary>
    public long Check { get; init; }

    /// <summary>Whether this refers to nothing: the value is in the mutation itself.</summary>
    public bool IsNone => Id == 0;
}
