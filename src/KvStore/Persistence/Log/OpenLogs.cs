using System.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// The logs of the process whose file is open. When they are more than so many, one that was not written to for the longest time
/// closes its file until its next write: so many namespaces that are seldom written to take one descriptor each, that of their
/// directory.
/// </summary>
/// <remarks>
/// Which one closes is decided as a page cache does ("second chance", Corbató 1968): the one that was opened first, unless it was written
/// to since it was looked at last. No timer runs. Thread safety: all members, from any thread; no lock is held while a file is
/// closed.
/// </remarks>
internal sealed class OpenLogs
{
    // Of the files and connections that the process may have open.
    private const int LimitDivisor = 32;
    private const int OpenMin = 16;

    private readonly Lock _lock = new();

    // Weakly, so that a namespace that nobody disposed can be collected.
    private readonly LinkedList<WeakReference<GroupCommit>> _open = [];
    private readonly int _openMax;
    private int _closing;

    public OpenLogs(int openMax)
    {
        Debug.Assert(openMax > 0, "The one that is written to is open.");
        _openMax = openMax;
    }

    /// <summary>Those of the process.</summary>
    public static OpenLogs Shared { get; } = CreateShared();

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _open.Count;
            }
        }
    }

    /// <summary>A log has opened its file, or had it open; others close theirs if that is one too many. Allocates nothing.</summary>
    public void Add(GroupCommit log)
    {
        if (Volatile.Read(ref log.IsListedAsOpen))
        {
            return;
        }

        int excess;
        lock (_lock)
        {
            if (log.IsListedAsOpen)
            {
                return;
            }

            Volatile.Write(ref log.IsListedAsOpen, true);
            _open.AddLast(log.OpenPlace);
            excess = _open.Count - _openMax;
        }

        if (excess > 0)
        {
            Close(excess, respectsUse: true);
        }
    }

    /// <summary>A log is closed for good.</summary>
    public void Remove(GroupCommit log)
    {
        lock (_lock)
        {
            if (log.IsListedAsOpen)
            {
                Volatile.Write(ref log.IsListedAsOpen, false);
                _open.Remove(log.OpenPlace);
            }
        }
    }

    /// <summary>Closes the files of all logs that rest, because descriptors have run out.</summary>
    /// <returns>Whether there may be a descriptor now, or soon: not when no log has its file open.</returns>
    public bool CloseAll()
    {
        var others = Interlocked.Increment(ref _closing) > 1;
        try
        {
            return Close(int.MaxValue, respectsUse: false) > 0 || others || Count > 0;
        }
        finally
        {
            Interlocked.Decrement(ref _closing);
        }
    }

    private int Close(int most, bool respectsUse)
    {
        var closed = 0;

        // Twice round at the most: whoever was written to is passed over the first time.
        for (var looks = Count * (respectsUse ? 2 : 1); looks > 0 && closed < most; looks--)
        {
            GroupCommit? log;
            lock (_lock)
            {
                if (_open.First is not { } first)
                {
                    break;
                }

                _open.Remove(first);
                if (!first.Value.TryGetTarget(out log))
                {
                    // Its descriptor has gone with it, or will.
                    closed++;
                    continue;
                }

                Volatile.Write(ref log.IsListedAsOpen, false);
            }

            if ((respectsUse && log.TakeWasUsed()) || !log.TryRest())
            {
                PutBack(log);
            }
            else
            {
                closed++;
            }
        }

        return closed;
    }

    private void PutBack(GroupCommit log)
    {
        lock (_lock)
        {
            if (!log.IsListedAsOpen && !log.IsDisposed)
            {
                Volatile.Write(ref log.IsListedAsOpen, true);
                _open.AddLast(log.OpenPlace);
            }
        }
    }

    private static OpenLogs CreateShared()
    {
        var limit = DescriptorLimit.Limit() ?? int.MaxValue;
        var shared = new OpenLogs((int)Math.Clamp(limit / LimitDivisor, OpenMin, int.MaxValue));
        DescriptorLimit.Free = shared.CloseAll;
        return shared;
    }
}
