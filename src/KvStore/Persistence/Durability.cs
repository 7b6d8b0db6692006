namespace KvStore;

/// <summary>What a put or delete that has completed promises about a crash.</summary>
/// <remarks>
/// With <see cref="Interval"/> and <see cref="Buffered"/>, a put completes at once while the log has reserved space for it on the disk
/// (on Linux). Otherwise it waits until it is written, and fails when the disk is full.
/// </remarks>
public enum Durability
{
    /// <summary>
    /// It is on the disk. All that wait at the same time share one flush. Nothing that any reader ever saw is lost by a crash.
    /// </summary>
    Immediate,

    /// <summary>
    /// It will be on the disk within <see cref="FilePersistenceOptions.Interval"/>. After a crash the state is one that the
    /// namespace had: all writes up to some moment, and none after it.
    /// </summary>
    Interval,

    /// <summary>
    /// It will be handed to the operating system within <see cref="FilePersistenceOptions.Interval"/>, which writes it to the
    /// disk when it likes. After a crash the state is one that the namespace had.
    /// </summary>
    Buffered,
}
