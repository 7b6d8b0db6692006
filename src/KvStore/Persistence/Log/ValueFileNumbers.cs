namespace KvStore.Persistence.Log;

/// <summary>
/// Gives each large value of a directory a number that no other one ever had: numbers are reserved in the manifest before they are
/// given, many at once, so that none is given again whatever a crash, an expiry or the clock does to what refers to it.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ValueFileNumbers(OpenManifest manifest, long highest)
{
    private const int ReservedAtOnce = 1024;

    private readonly Lock _lock = new();
    private long _last = highest;
    private long _limit = highest;

    /// <summary>The identity of the directory.</summary>
    public Guid Directory => manifest.Directory;

    /// <summary>Takes the next number.</summary>
    /// <exception cref="IOException">The manifest cannot be written.</exception>
    public long Take()
    {
        var number = Interlocked.Increment(ref _last);
        if (number > Volatile.Read(ref _limit))
        {
            lock (_lock)
            {
                if (number > _limit)
                {
                    var limit = number + ReservedAtOnce - 1;
                    manifest.ReserveValueIds(limit);
                    Volatile.Write(ref _limit, limit);
                }
            }
        }

        return number;
    }

    /// <summary>
    /// Notes the time in the manifest, because a value is released: maybe because its deadline has passed, by a clock that is set back
    /// before the directory is opened again.
    /// </summary>
    public void NoteRelease() => manifest.NoteTime();
}
