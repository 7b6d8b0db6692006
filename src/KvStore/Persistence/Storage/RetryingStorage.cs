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

    public IReadOnlyList<StorageEntry> List() => RetryForDescriptors(storage.List, timeProvider);

    public bool Exists(string name) => storage.Exists(name);

    public IStorageFile Create(string name) => Retry(_ => storage.Create(name));

    public IStorageFile Open(string name, bool isWritable) => Retry(_ => storage.Open(name, isWritable));

    // A lock that another process holds fails at once.
    public IDisposable Lock(bool isShared = false) => RetryForDescriptors(() => storage.Lock(isShared), timeProvider);

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

    public string? Weakness => storage.Weakness;

    public void Dispose() => storage.Dispose();

    /// <summary>Tries again what fails because no descriptor is free, for as long as logs that rest can give some back, or 630 ms.</summary>
    public static T RetryForDescriptors<T>(Func<T> attempt, TimeProvider timeProvider) =>
        Retry(_ => attempt(), static _ => false, timeProvider);

    private static T Retry<T>(Func<bool, T> attempt, Func<Exception, bool> mayPass, TimeProvider timeProvider)
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
                    Wait(delay, timeProvider);
                    delay *= 2;
                }
            }
            catch (Exception e) when (retries < RetriesMax && mayPass(e))
            {
                Wait(delay, timeProvider);
                delay *= 2;
            }
        }
    }

    private T Retry<T>(Func<bool, T> attempt) => Retry(attempt, MayPass, timeProvider);

    private static bool MayPass(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException or PathTooLongException or DirectoryLostException or NotRegularFileException => false,
        UnauthorizedAccessException => true,
        IOException io when OperatingSystem.IsWindows() => (io.HResult & 0xFFFF) is not (4 or 39 or 80 or 112 or 183),

        // Not: too many open files (23, 24), no room (28, 69, 122), a read-only file system (30), the file exists (17).
        IOException io => io.HResult is not (17 or 23 or 24 or 28 or 30 or 69 or 122),
        _ => false,
    };

    private static void Wait(TimeSpan delay, TimeProvider timeProvider)
    {
        // Not disposed: the timer may still be setting it when the wait ends.
        var passed = new ManualResetEventSlim();
        using var timer = timeProvider.CreateTimer(static state => ((ManualResetEventSlim)state!).Set(), passed, delay, Timeout.InfiniteTimeSpan);
        passed.Wait();
    }
}
