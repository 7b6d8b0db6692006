using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>The exceptions of callers whose writes failed.</summary>
/// <remarks>
/// <see cref="Fatal"/> and <see cref="Passing"/> never throw: the worker that calls them has callers to complete. Without memory for a
/// message of its own they return one that was made before.
/// </remarks>
internal static class LogFailures
{
    private static readonly KvPersistenceException s_fatalWithoutMemory = new(
        "Writing to the log failed, and there was no memory to say why. Nothing more is written until the namespace is opened again; the outcome of what was being written is unknown: it may be there then, or not.");

    private static readonly KvPersistenceException s_passingWithoutMemory = new(
        "Writing to the log failed, and there was no memory to say why. Nothing of it was kept. Later writes may succeed.",
        new InsufficientMemoryException());

    private static readonly KvPersistenceException s_retainedWithoutMemory = new(
        "Writing to the log failed, and there was no memory to say why. What waits to be written is kept in memory and written when the disk takes it.",
        new InsufficientMemoryException());

    /// <summary>Something failed for good before the call.</summary>
    public static KvPersistenceException Refused(KvPersistenceException failure) => new(
        "The disk has failed before, so nothing is written any more; reads go on. Call ReopenAsync, or open the namespace again, when the disk is well.",
        failure);

    /// <summary>A write failed for good.</summary>
    public static KvPersistenceException Fatal(in WriteOutcome outcome)
    {
        try
        {
            AllocationProbe.Before();
            return new(
                $"Writing to the log failed: {Reason(outcome)}. Nothing more is written until the namespace is opened again{(outcome.IsUndone ? "" : "; the outcome of what was being written is unknown: it may be there then, or not")}.",
                outcome.Error);
        }
        catch (OutOfMemoryException)
        {
            return s_fatalWithoutMemory;
        }
    }

    /// <summary>A write failed, and the next one may succeed.</summary>
    /// <param name="outcome">What became of the write.</param>
    /// <param name="isRetained">Whether it says what becomes of the mutations that were acknowledged before; otherwise, of those that waited.</param>
    public static KvPersistenceException Passing(in WriteOutcome outcome, bool isRetained)
    {
        try
        {
            AllocationProbe.Before();
            return new(
                !isRetained
                    ? $"Writing to the log failed: {Reason(outcome)}. Nothing of it was kept. Later writes may succeed."
                    : $"Writing to the log failed: {Reason(outcome)}. What waits to be written is kept in memory and written when the disk takes it.",
                outcome.Error);
        }
        catch (OutOfMemoryException)
        {
            return isRetained ? s_retainedWithoutMemory : s_passingWithoutMemory;
        }
    }

    /// <summary>The directory was opened to be read only.</summary>
    public static KvPersistenceException ReadOnly(string directory) =>
        new($"{directory} was opened with {nameof(FilePersistenceOptions)}.{nameof(FilePersistenceOptions.ReadOnly)}; nothing can be written. Open it without that option to write.");

    private static string Reason(in WriteOutcome outcome) => outcome.Error!.Message.TrimEnd('.');
}
