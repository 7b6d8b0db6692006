namespace KvStore.Persistence.Storage;

/// <summary>
/// Tries again to create, open, rename or delete a file when that fails in a way that passes, because a virus scanner or
/// an indexer has the file for a moment. Writes and flushes are never tried again.
/// </summary>
/// <remarks>
/// Blocks the caller for at most 630 ms a call. What lasts (no room, no descriptors, no such file) fails at once. Thread
/// safety: all members, from any thread.
/// </remarks>
internal sealed class RetryingStorage(IStorage storage, TimeProvider timeProvider) : IStorage
{
    private const int RetriesMax = 6;

    // Doubled after each attempt.
    private static readonly TimeSpan s_firstDelay = TimeSpan.FromMilliseconds(10);

    public string PathOf(string name) => storage.PathOf(name);

    public IReadOnlyList<StorageEntry> List()
    {
        try
        {
            return storage.List();
        }
        catch (IOException e) when (!OperatingSystem.IsWindows() && DescriptorLimit.HasFreed(e.HResult))
        {
            return storage.List();
        }
    }

    public bool Exists(string name) => storage.Exists(name);

    public IStorageFile Create(string name) => Retry(_ => storage.Create(name));

    public IStorageFile Open(string name, bool isWritable) => Retry(_ => storage.Open(name, isWritable));

    public void Rename(string from, string to) => Retry(isRetry =>
    {
        // An attempt may fail although it has done its work.
        if (!isRetry || storage.Exists(from) || !storage.Exists(to))
        {
            storage.Rename(from, to);
        }

        return true;
    });

    public void Delete(string name) => Retry(_ =>
    {
        storage.Delete(name);
        return true;
    });

    public void FlushDirectory() => storage.FlushDirectory();

    public void Reclaim() => storage.Reclaim();

    public IDisposable Lock(bool isShared = false) => storage.Lock(isShared);

    public string? Weakness => storage.Weakness;

    public void Dispose() => storage.Dispose();

    private T Retry<T>(Func<bool, T> attempt)
    {
        var delay = s_firstDelay;
        for (var retries = 0; ; retries++)
        {
            try
            {
                return attempt(retries > 0);
            }
            catch (IOException e) when (!OperatingSystem.IsWindows() && retries < RetriesMax && DescriptorLimit.HasFreed(e.HResult))
            {
                // Logs that rest have closed their files; the second time, others were faster.
                if (retries > 0)
                {
                    Wait(delay);
                    delay *= 2;
                }
            }
            catch (Exception e) when (retries < RetriesMax && MayPass(e))
            {
                Wait(delay);
                delay *= 2;
            }
        }
    }

    private static bool MayPass(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException or PathTooLongException or DirectoryLostException or NotRegularFileException => false,
        UnauthorizedAccessException => true,
        IOException io when OperatingSystem.IsWindows() => (io.HResult & 0xFFFF) is not (4 or 39 or 80 or 112 or 183),

        // Not: too many open files (23, 24), no room (28, 69, 122), a read-only file system (30), the file exists (17).
        IOException io => io.HResult is not (17 or 23 or 24 or 28 or 30 or 69 or 122),
        _ => false,
    };

    private void Wait(TimeSpan delay)
    {
        // Not disposed: the timer may still be setting it when the wait ends.
        var passed = new ManualResetEventSlim();
        using var timer = timeProvider.CreateTimer(static state => ((ManualResetEventSlim)state!).Set(), passed, delay, Timeout.InfiniteTimeSpan);
        passed.Wait();
    }
}
