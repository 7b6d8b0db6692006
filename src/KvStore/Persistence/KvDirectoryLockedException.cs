using System.Globalization;

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
            $"{directory} is open already, {Holder(processId)}; a directory is open once at a time.",
            innerException)
    {
        Directory = directory;
        ProcessId = processId;
    }

    internal KvDirectoryLockedException(string directory, int? processId, bool isReader, Exception? innerException)
        : base(isReader ? RefusalOfReader(directory, processId) : RefusalOfWriter(directory, processId), innerException)
    {
        Directory = directory;
        ProcessId = processId;
    }

    /// <summary>The directory.</summary>
    public string Directory { get; }

    /// <summary>The process that holds it, or null when it is not known.</summary>
    public int? ProcessId { get; }

    private static string RefusalOfReader(string directory, int? processId) =>
        $"{directory} is open for writing already, {Holder(processId)}, so it cannot be read from outside. Let that process make a copy with SnapshotAsync and open the copy, or close it there first.";

    private static string RefusalOfWriter(string directory, int? processId) =>
        processId is not null
            ? $"{directory} is open already, {Holder(processId)}; a directory is open for writing once at a time."
            : $"{directory} is open already, {Holder(processId)}; a directory is open for writing once at a time, and not while others have it open with {nameof(FilePersistenceOptions)}.{nameof(FilePersistenceOptions.ReadOnly)}, who leave no number.";

    private static string Holder(int? processId) => processId switch
    {
        null => "in a process that did not leave its number",
        { } id when id == Environment.ProcessId => string.Create(
            CultureInfo.InvariantCulture, $"in process {id}, which is this one: give each namespace a directory of its own, and dispose one before it is opened again"),
        { } id => string.Create(CultureInfo.InvariantCulture, $"in process {id}"),
    };
}
