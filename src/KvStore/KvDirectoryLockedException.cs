namespace KvStore;

/// <summary>The directory is open already, in this process or in another one.</summary>
public sealed class KvDirectoryLockedException : KvPersistenceException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="processId">The process that holds it, or null when it is not known.</param>
    /// <param name="innerException">What the operating system said.</param>
    public KvDirectoryLockedException(string directory, int? processId, Exception? innerException = null)
        : base(
            Invariant($"{directory} is open already, {(processId is { } id ? Invariant($"in process {id}") : "in a process that did not leave its number")}; a directory is open once at a time."),
            innerException)
    {
        Directory = directory;
        ProcessId = processId;
    }

    /// <summary>The directory.</summary>
    public string Directory { get; }

    /// <summary>The process that holds it, or null when it is not known.</summary>
    public int? ProcessId { get; }
}
