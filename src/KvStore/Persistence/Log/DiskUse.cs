namespace KvStore.Persistence.Log;

/// <summary>How many bytes of records the files hold, for the decision when to compact. Thread safety: all members.</summary>
internal sealed class DiskUse
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<long, long> _finishedLogs = [];
    private long _snapshotBytes;
    private long _finishedBytes;

    /// <summary>The number of finished logs.</summary>
    public int FinishedLogs
    {
        get
        {
            lock (_lock)
            {
                return _finishedLogs.Count;
            }
        }
    }

    /// <summary>The bytes of the snapshot and of all finished logs.</summary>
    public long FinishedBytes => Volatile.Read(ref _finishedBytes);

    public void AddLog(long number, long bytes)
    {
        lock (_lock)
        {
            _finishedLogs[number] = bytes;
            Sum();
        }
    }

    /// <summary>A snapshot now stands for all logs up to a number.</summary>
    public void SetSnapshot(long number, long bytes)
    {
        lock (_lock)
        {
            _snapshotBytes = bytes;
            foreach (var log in _finishedLogs.Keys.TakeWhile(log => log <= number).ToArray())
            {
                _finishedLogs.Remove(log);
            }

            Sum();
        }
    }

    // Read after every batch, changed once for every file.
    private void Sum() => Volatile.Write(ref _finishedBytes, _snapshotBytes + _finishedLogs.Values.Sum());
}
