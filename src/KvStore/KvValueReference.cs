namespace KvStore;

/// <summary>Where a persistence provider keeps a large value: what stands in a mutation in place of its bytes.</summary>
/// <param name="Id">The number that the provider gave; positive, never given twice while anything refers to it.</param>
/// <param name="Length">The length of the value in bytes.</param>
public readonly record struct KvValueReference(long Id, long Length)
{
    /// <summary>Whether this refers to nothing: the value is in the mutation itself.</summary>
    public bool IsNone => Id == 0;
}
