using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// The threads that flush, for all namespaces of the process. They are not those of the thread pool, because callers that
/// block may hold all of those while they wait for a flush.
/// </summary>
/// <remarks>
/// <para>A thread is started when there is work and none is free, up to a small number, and ends after a while without work. One
/// stays, and so does the watchdog: both are there before the first log takes anything (<see cref="Ensure"/>), so that what is
/// queued is begun although no other thread can be had.</para>
/// <para><b>Everything that is queued is begun, even when threads block.</b> A watchdog looks every <see cref="s_stallTime"/> while there is
/// work. If work waits and none was begun since it looked last, all threads are blocked (by disks, or by the code of callers that
/// is run here), and it adds one. If a thread is still in the code of the same caller, and has work to come back to, that work
/// is queued.</para>
/// <para><b>Memory and threads may be short.</b> <see cref="Queue"/> throws nothing and allocates nothing that it cannot do without:
/// the queue is a list of the works themselves, and the lists of threads have room before a thread is made. A thread that
/// does not start is taken out again, and what waits goes to those that there are, or to the thread pool where all of those
/// are blocked.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
// The semaphore is not disposed: the threads live as long as the process. Only the wait handle of a semaphore must be disposed, and
// nothing asks for it.
[SuppressMessage("Design", "CA1001", Justification = "It lives as long as the process.")]
internal sealed class FlushThreads
{
    private const int QuietLooksMax = 500;

    // After so many looks at which nothing was begun and no thread could be started, the thread pool helps.
    private const int FailedStartsMax = 5;

    // How long work waits at most when every thread is blocked.
    private static readonly TimeSpan s_stallTime = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan s_idleTime = TimeSpan.FromSeconds(5);
    private static readonly int s_parallelMax = Math.Max(2, Environment.ProcessorCount);
    private static readonly int s_writersMax = Math.Max(8, 2 * Environment.ProcessorCount);

    private readonly Lock _lock = new();
    private readonly Lock _ensuring = new();
    private readonly SemaphoreSlim _watch = new(0);
    private readonly List<FlushThread> _parked = [];
    private readonly List<FlushThread> _threads = [];
    private readonly Func<Action, string, bool> _tryStart;

    // Those that wait to be begun, as a list.
    private FlushWork? _firstQueued;
    private FlushWork? _lastQueued;
    private int _failedStarts;
    private long _begun;
    private bool _isWatched;
    private bool _hasWatchdog;
    private bool _areReady;
    private bool _isPoolAsked;

    /// <param name="tryStart">Starts a thread that runs something and has a name; false when it cannot. Replaced by tests.</param>
    public FlushThreads(Func<Action, string, bool>? tryStart = null) => _tryStart = tryStart ?? TryStartThread;

    /// <summary>The threads of the process.</summary>
    public static FlushThreads Shared { get; } = new();

    /// <summary>Whether <see cref="Ensure"/> was called with success, so that work can be queued.</summary>
    public bool AreReady => Volatile.Read(ref _areReady);

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

    /// <summary>Sees to it that there is a thread, and the watchdog. To be called before anything is queued.</summary>
    /// <exception cref="KvPersistenceException">A thread cannot be started.</exception>
    public void Ensure()
    {
        lock (_ensuring)
        {
            if (!_hasWatchdog && !TryStart(Watch, "KvStore flush watchdog"))
            {
                throw NoThread();
            }

            _hasWatchdog = true;
            var isThere = true;
            FlushThread? first = null;
            lock (_lock)
            {
                if (_threads.Count == 0)
                {
                    first = TryAddThread();
                    isThere = first is not null;
                }
            }

            if (!isThere || (first is not null && !TryStart(first)))
            {
                throw NoThread();
            }

            Volatile.Write(ref _areReady, true);
        }
    }

    /// <summary>Runs some work soon, on a thread of its own or on one that runs it already and asks again. Throws nothing.</summary>
    /// <param name="work">What to run.</param>
    /// <param name="isParallel">Whether it is only to help those who run it already.</param>
    public void Queue(FlushWork work, bool isParallel)
    {
        if (!isParallel && FlushThread.Current is { } current && current.TryOwe(work))
        {
            // This thread comes back to it. If it blocks before, the watchdog finds out.
            return;
        }

        Debug.Assert(_hasWatchdog, "Ensure comes first.");
        FlushThread? woken;
        FlushThread? started = null;
        bool watches;
        lock (_lock)
        {
            if (!work.IsQueued)
            {
                Enqueue(work);
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
        if (started is not null)
        {
            TryStart(started);
        }

        if (watches)
        {
            _watch.Release();
        }
    }

    private static KvPersistenceException NoThread() => new(
        "The thread that writes to the disk cannot be started: the process has as many threads as it may, or too little memory. Raise the limit (ulimit -u, or the pids limit of the container) or close what is not used, and open the namespace again.");

    private static bool TryStartThread(Action run, string name)
    {
        AllocationProbe.Before();
        new Thread(() => run()) { IsBackground = true, Name = name }.UnsafeStart();
        return true;
    }

    private bool TryStart(Action run, string name)
    {
        try
        {
            return _tryStart(run, name);
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            return false;
        }
    }

    private bool TryStart(FlushThread thread)
    {
        try
        {
            if (TryStart(() => Run(thread), "KvStore flush"))
            {
                return true;
            }
        }
        catch (OutOfMemoryException)
        {
            // No memory for what it would run.
        }

        lock (_lock)
        {
            _threads.Remove(thread);
            _failedStarts++;
        }

        return false;
    }

    private void Enqueue(FlushWork work)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread, "Called under the lock.");
        Debug.Assert(!work.IsQueued && work.NextQueued is null, "It is queued once.");
        work.IsQueued = true;
        if (_lastQueued is null)
        {
            _firstQueued = work;
        }
        else
        {
            _lastQueued.NextQueued = work;
        }

        _lastQueued = work;
    }

    private FlushWork? Dequeue()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread, "Called under the lock.");
        if (_firstQueued is not { } work)
        {
            return null;
        }

        _firstQueued = work.NextQueued;
        _lastQueued = _firstQueued is null ? null : _lastQueued;
        work.NextQueued = null;
        work.IsQueued = false;
        _begun++;
        _failedStarts = 0;
        return work;
    }

    // Without memory for another thread, one of those that there are comes, or the watchdog adds one later.
    private FlushThread? TryAddThread()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread, "Called under the lock.");
        try
        {
            // So that parking it, and queueing what it owes, needs no memory.
            AllocationProbe.Before();
            _threads.EnsureCapacity(_threads.Count + 1);
            _parked.EnsureCapacity(_threads.Count + 1);
            var thread = new FlushThread();
            _threads.Add(thread);
            return thread;
        }
        catch (OutOfMemoryException)
        {
            _failedStarts++;
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
                work = Dequeue();
                if (work is null)
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
            // The last one stays. When it is not parked any more, somebody has taken it out to wake it.
            if (!_parked.Remove(thread))
            {
                return false;
            }

            return _threads.Count > 1 ? _threads.Remove(thread) : false;
        }
    }

    private void Watch()
    {
        var quietLooks = 0;
        var begun = -1L;
        while (true)
        {
            try
            {
                // At rest it waits to be called; otherwise it looks again and again.
                _watch.Wait(_isWatched ? s_stallTime : Timeout.InfiniteTimeSpan);
                Look(ref quietLooks, ref begun);
            }
            catch (OutOfMemoryException)
            {
                // This is a thread of its own, so that the exception would end the process. The next look may find memory.
                Thread.Yield();
            }
        }
    }

    private void Look(ref int quietLooks, ref long begun)
    {
        FlushThread? woken = null;
        FlushThread? started = null;
        var asksPool = false;
        lock (_lock)
        {
            foreach (var thread in _threads)
            {
                if (thread.TakeStalledWork() is { IsQueued: false } stalled)
                {
                    Enqueue(stalled);
                    begun = _begun;
                }
            }

            if (_firstQueued is not null)
            {
                quietLooks = 0;
                if (begun == _begun)
                {
                    woken = TakeParked();
                    started = woken is null ? TryAddThread() : null;
                    asksPool = woken is null && _failedStarts >= FailedStartsMax && !_isPoolAsked;
                    _isPoolAsked |= asksPool;
                }
            }
            else if (_parked.Count < _threads.Count)
            {
                quietLooks = 0;
            }
            else if (++quietLooks > QuietLooksMax)
            {
                quietLooks = 0;
                _isWatched = false;
            }

            begun = _begun;
        }

        woken?.Wake();
        if (started is not null)
        {
            TryStart(started);
        }

        if (asksPool)
        {
            AskPool();
        }
    }

    // Every thread is blocked, by disks or by the code of callers, and another one cannot be had. The thread pool has some.
    private void AskPool()
    {
        try
        {
            AllocationProbe.Before();
            ThreadPool.UnsafeQueueUserWorkItem(static threads => threads.RunOnPool(), this, preferLocal: false);
        }
        catch (OutOfMemoryException)
        {
            lock (_lock)
            {
                // Again at the next look.
                _isPoolAsked = false;
            }
        }
    }

    private void RunOnPool()
    {
        FlushThread? thread = null;
        try
        {
            // Before anything is taken out that somebody must run.
            AllocationProbe.Before();
            thread = new FlushThread();
        }
        catch (OutOfMemoryException)
        {
            // Again at a later look.
        }

        FlushWork? work;
        lock (_lock)
        {
            _isPoolAsked = false;
            work = thread is null ? null : Dequeue();
        }

        // Not as the current thread: the watchdog does not look after it, so nothing is owed to it.
        work?.Run(thread!);
    }
}
