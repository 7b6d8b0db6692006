namespace KvStore.Persistence.Log;

/// <summary>The exceptions of callers whose writes failed.</summary>
internal static class LogFailures
{
    /// <summary>Something failed for good before the call.</summary>
    public static KvPersistenceException Refused(KvPersistenceException failure) => new(
        "The disk has failed before, so nothing is written any more; reads go on. Call ReopenAsync, or open the namespace again, when the disk is well.",
        failure);

    /// <summary>A write failed for good.</summary>
    public static KvPersistenceException Fatal(in WriteOutcome outcome) => new(
        $"Writing to the log failed: {Reason(outcome)}. Nothing more is written until the namespace is opened again{(outcome.IsUndone ? "" : "; whether what was being written is there then is not known")}.",
        outcome.Error);

    /// <summary>A write failed, and the next one may succeed.</summary>
    public static KvPersistenceException Passing(in WriteOutcome outcome, Durability durability) => new(
        durability == Durability.Immediate
            ? $"Writing to the log failed: {Reason(outcome)}. Nothing of it was kept. Later writes may succeed."
            : $"Writing to the log failed: {Reason(outcome)}. What waits to be written is kept in memory and written when the disk takes it.",
        outcome.Error);

    /// <summary>The directory was opened to be read only.</summary>
    public static KvPersistenceException ReadOnly(string directory) =>
        new($"{directory} was opened with {nameof(FilePersistenceOptions)}.{nameof(FilePersistenceOptions.ReadOnly)}; nothing can be written. Open it without that option to write.");

    private static string Reason(in WriteOutcome outcome) => outcome.Error!.Message.TrimEnd('.');
}
