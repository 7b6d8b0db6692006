namespace KvStore;

/// <summary>A file is not as it was written, in a place where no crash explains it. Nothing was changed.</summary>
public sealed class KvDamagedFileException : KvPersistenceException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="file">The path of the file.</param>
    /// <param name="offset">Where in the file, in bytes.</param>
    /// <param name="reason">What is wrong there.</param>
    /// <param name="innerException">What caused it, if anything did.</param>
    public KvDamagedFileException(string file, long offset, string reason, Exception? innerException = null)
        : base(
            Invariant($"{file} is damaged at byte {offset}: {reason}. Restore it from a copy, or open the directory with {nameof(FilePersistenceOptions)}.{nameof(FilePersistenceOptions.ReadOnly)} to read what is whole."),
            innerException)
    {
        File = file;
        Offset = offset;
        Reason = reason;
    }

    /// <summary>The path of the file.</summary>
    public string File { get; }

    /// <summary>Where in the file, in bytes.</summary>
    public long Offset { get; }

    /// <summary>What is wrong there.</summary>
    public string Reason { get; }
}
