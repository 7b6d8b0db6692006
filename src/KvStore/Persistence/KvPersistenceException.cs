namespace KvStore;

/// <summary>
/// A mutation could not be made durable, or what was made durable cannot be opened. Thrown as it is when the disk failed
/// (the inner exception says how): from then on the namespace serves reads and refuses writes until it is opened again.
/// </summary>
public class KvPersistenceException : Exception
{
    /// <summary>Makes the exception.</summary>
    /// <param name="message">What happened and what to do about it.</param>
    /// <param name="innerException">The error of the disk, if there was one.</param>
    public KvPersistenceException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
