using KvStore.Diagnostics;

namespace KvStore.Persistence.Storage;

/// <summary>
/// Flushes, and tells a flush that failed from everything else that can fail: after it nothing is known about what was
/// written, and it must never be tried again.
/// </summary>
/// <remarks>
/// A flush takes no memory, so running out of it there means that the flush failed and there was none to say so.
/// </remarks>
internal static class Flushing
{
    private static readonly FlushFailedException s_withoutMemory = new(new IOException("A flush failed, and there was no memory to say why."));

    /// <exception cref="FlushFailedException">The flush failed.</exception>
    public static void Flush(IStorageFile file)
    {
        try
        {
            file.Flush();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            throw Failed(e);
        }
    }

    /// <exception cref="FlushFailedException">The flush failed.</exception>
    /// <exception cref="FlushNotBegunException">It could not begin; the next one may succeed.</exception>
    public static void FlushDirectory(IStorage storage)
    {
        try
        {
            storage.FlushDirectory();
        }
        catch (Exception e) when (e is (IOException or UnauthorizedAccessException or OutOfMemoryException) and not FlushNotBegunException)
        {
            throw Failed(e);
        }
    }

    private static FlushFailedException Failed(Exception e)
    {
        try
        {
            AllocationProbe.Before();
            return new FlushFailedException(e);
        }
        catch (OutOfMemoryException)
        {
            return s_withoutMemory;
        }
    }
}

/// <summary>A flush failed: what was written since the last one may be on the disk or not, now or later.</summary>
internal sealed class FlushFailedException(Exception cause) : IOException(cause.Message, cause);

/// <summary>A directory could not be opened to flush it, for want of a descriptor for example: nothing was flushed, and nothing lost.</summary>
internal sealed class FlushNotBegunException(string message, int code) : IOException(message, code);
