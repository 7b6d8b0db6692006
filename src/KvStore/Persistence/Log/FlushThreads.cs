using System.Diagnostics;
using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// The threads that flush, for all namespaces of the process. They are not those of the thread pool, because callers that
/// block may hold all of those while they wait for a flush.
/// </summary>
/// <remarks>
/// <para>A thread is started when there is work and none is free, up to a small number, and ends after a while without work:
/// namespaces that nobody writes to cost no thread.</para>
/// <para><b>Whatever is queued is begun, whoever blocks.</b> A watchdog looks every <see cref="s_stallTime"/> while there is
/// work. If work waits and none was begun since it looked last, all threads are blocked (by disks, or by the code of callers that
/// is run here), and it adds one. If a thread is still in the code of the same caller, and has work to come back to, that work
/// is queued.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class FlushThreads
{
    private const int QuietLooksMax = 500;

    // How long work waits at most when every thread is blocked.
    private static readonly TimeSpan s_stallTime = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan s_idleTime = TimeSpan.FromSeconds(5);
    private static readonly int s_parallelMax = Math.Max(2, Environment.ProcessorCount);
    private static readonly int s_writersMax = Math.Max(8, 2 * Environment.ProcessorCount);

    private readonly Lock _lock = new();
    private readonly Queue<FlushWork> _queued = new();
    private readonly List<FlushThread> _parked = [];
    private readonly List<FlushThread> _threads = [];
    private long _begun;
    private bool _isWatched;

    /// <summary>The threads of the process.</summary>
    public static FlushThreads Shared { get; } = new();

    /// <summary>How many threads there are, the watchdog not counted.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _threads.Count;
            }
        }
    }

    /// <summary>Runs some work soon, on a thread of its own or on one that runs it already and asks again.</summary>
    /// <param name="work">What to run.</param>
    /// <param name="isParallel">Whether it is only to help those who run it already.</param>
    public void Queue(FlushWork work, bool isParallel)
    {
        if (!isParallel && FlushThread.Current is { } current && current.TryOwe(work))
        {
            // This thread comes back to it. If it blocks before, the watchdog finds out.
            return;
        }

        FlushThread? woken;
        FlushThread? started = null;
        bool watches;
        lock (_lock)
        {
            if (!work.IsQueued)
            {
                work.IsQueued = true;
                _queued.Enqueue(work);
            }

            var isBusy = isParallel && _threads.Count - _parked.Count >= s_parallelMax;
            woken = isBusy ? null : TakeParked();
            watches = !_isWatched;
            _isWatched = true;
            if (!isBusy && woken is null && _threads.Count < s_writersMax)
            {
                started = TryAddThread();
            }
        }

        woken?.Wake();
        Start(started);
        if (watches)
        {
            Start(Watch, "KvStore flush watchdog");
        }
    }

    private static void Start(Action run, string name)
    {
        try
        {
            new Thread(() => run()) { IsBackground = true, Name = name }.UnsafeStart();
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            // No thread can be had. The thread pool has some.
            ThreadPool.UnsafeQueueUserWorkItem(static start => start(), run, preferLocal: false);
        }
    }

    private void Start(FlushThread? thread)
    {
        if (thread is not null)
        {
            Start(() => Run(thread), "KvStore flush");
        }
    }

    private FlushThread AddThread()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread, "Called under the lock.");
        var thread = new FlushThread();
        _threads.Add(thread);
        return thread;
    }

    // Without memory for another thread, one of those that there are comes, or the watchdog adds one later.
    private FlushThread? TryAddThread()
    {
        try
        {
            AllocationProbe.Before();
            return AddThread();
        }
        catch (OutOfMemoryException)
        {
            return null;
        }
    }

    // The last one that was parked, whose stack is in the cache.
    private FlushThread? TakeParked()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread, "Called under the lock.");
        if (_parked.Count == 0)
        {
            return null;
        }

        var thread = _parked[^1];
        _parked.RemoveAt(_parked.Count - 1);
        return thread;
    }

    private void Run(FlushThread thread)
    {
        while (true)
        {
            FlushWork? work;
            lock (_lock)
            {
                if (_queued.TryDequeue(out work))
                {
                    work.IsQueued = false;
                    _begun++;
                }
                else
                {
                    _parked.Add(thread);
                }
            }

            if (work is not null)
            {
                thread.Run(work);
            }
            else if (!thread.Park(s_idleTime) && TryEnd(thread))
            {
                return;
            }
        }
    }

    private bool TryEnd(FlushThread thread)
    {
        lock (_lock)
        {
            // Otherwise somebody has taken it out to wake it.
            return _parked.Remove(thread) && _threads.Remove(thread);
        }
    }

    private void Watch()
    {
        ManualResetEventSlim? never = null;
        var quietLooks = 0;
        var begun = -1L;
        while (true)
        {
            try
            {
                never ??= new ManualResetEventSlim();
                never.Wait(s_stallTime);
                if (!Look(ref quietLooks, ref begun))
                {
                    never.Dispose();
                    return;
                }
            }
            catch (OutOfMemoryException)
            {
                // This is a thread of its own, so that the exception would end the process. The next look may find memory.
                Thread.Yield();
            }
        }
    }

    private bool Look(ref int quietLooks, ref long begun)
    {
        FlushThread? woken = null;
        FlushThread? started = null;
        lock (_lock)
        {
            // Before anything is taken out of a thread: from here on it can be queued.
            _queued.EnsureCapacity(_queued.Count + _threads.Count);
            foreach (var thread in _threads)
            {
                if (thread.TakeStalledWork() is { IsQueued: false } stalled)
                {
                    stalled.IsQueued = true;
                    _queued.Enqueue(stalled);
                    begun = _begun;
                }
            }

            if (_queued.Count > 0)
            {
                quietLooks = 0;
                if (begun == _begun)
                {
                    woken = TakeParked();
                    started = woken is null ? TryAddThread() : null;
                }
            }
            else if (_parked.Count < _threads.Count)
            {
                quietLooks = 0;
            }
            else if (++quietLooks > QuietLooksMax)
            {
                _isWatched = false;
                return false;
            }

            begun = _begun;
        }

        woken?.Wake();
        Start(started);
        return true;
    }
}
