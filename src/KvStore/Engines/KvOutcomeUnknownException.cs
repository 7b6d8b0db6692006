namespace KvStore;

/// <summary>
/// The connection to the engine of a namespace was lost while a write was committed, and the engine could not be asked in time whether
/// it has the write. Read the key again before you repeat a write that must not be made twice.
/// </summary>
/// <param name="message">What happened.</param>
/// <param name="innerException">What caused it.</param>
public sealed class KvOutcomeUnknownException(string message, Exception? innerException = null) : KvPersistenceException(message, innerException);
