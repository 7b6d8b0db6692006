namespace KvStore.Persistence.Log;

/// <summary>What became of a batch that was handed to the writer of the log.</summary>
internal readonly record struct WriteOutcome
{
    /// <summary>
    /// The first so many bytes of the batch are kept: on the disk where the write had to flush, otherwise handed to the
    /// operating system.
    /// </summary>
    public required long KeptBytes { get; init; }

    /// <summary>Deletes that end at this place of the batch or before it are kept as well, also those behind <see cref="KeptBytes"/>.</summary>
    public long KeptDeleteBytes { get; init; }

    /// <summary>What failed; null when everything succeeded.</summary>
    public Exception? Error { get; init; }

    /// <summary>
    /// Whether nothing more may be written: what the disk holds is not known. Otherwise nothing of what is not kept can be
    /// read, and the next write may succeed.
    /// </summary>
    public bool IsFatal { get; init; }

    /// <summary>
    /// Whether what is not kept cannot be read, so that it is not recovered either. False only after the disk refused even
    /// to cut it off.
    /// </summary>
    public bool IsUndone { get; init; }

    /// <summary>The number of the last finished file, after a roll.</summary>
    public long FinishedNumber { get; init; }

    /// <summary>The bytes of records that the log is sure to take after it.</summary>
    public LogRoom Room { get; init; }

    /// <summary>Whether what ends at a place of the batch is kept.</summary>
    public bool Keeps(long through, bool isDelete) => Error is null || through <= KeptBytes || (isDelete && through <= KeptDeleteBytes);
}
