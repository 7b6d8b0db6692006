namespace KvStore;

/// <summary>
/// A large value that can be read. It never changes, and stays readable until this object is disposed.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
public abstract class KvLargeValue : IDisposable
{
    /// <summary>The length in bytes.</summary>
    public abstract long Length { get; }

    /// <summary>Opens the value for reading.</summary>
    /// <returns>
    /// A new stream that can seek, which the caller disposes, and which goes on when this object is disposed. Reading it throws
    /// <see cref="KvDamagedFileException"/> where the bytes are not those that were written.
    /// </returns>
    public abstract Stream OpenStream();

    /// <summary>Lets go of the value.</summary>
    public abstract void Dispose();
}
