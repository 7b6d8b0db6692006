using System.Diagnostics.CodeAnalysis;

namespace KvStore.Persistence.Log;

/// <summary>What a flush thread runs.</summary>
internal abstract class FlushWork
{
    /// <summary>Whether it waits to be begun. Guarded by the lock of <see cref="FlushThreads"/>.</summary>
    public bool IsQueued { get; set; }

    /// <summary>The next one that waits to be begun. Guarded by the lock of <see cref="FlushThreads"/>.</summary>
    public FlushWork? NextQueued { get; set; }

    /// <summary>
    /// Does what there is to do, and calls <see cref="FlushThread.Turn"/> each time before it asks what that is. Throws nothing: it
    /// runs on a thread of its own, so that an exception would end the process.
    /// </summary>
    public abstract void Run(FlushThread thread);
}

/// <summary>One of the threads that flush.</summary>
// The semaphore is not disposed when the thread ends. A caller that took the thread out of the parked ones may be suspended before
// it calls Wake, while the thread does the work, parks again and ends: Wake would then throw in that caller's put. Only the wait
// handle of a semaphore must be disposed, and nothing asks for it.
[SuppressMessage("Design", "CA1001", Justification = "It may be woken after its end.")]
internal sealed class FlushThread
{
    [ThreadStatic]
    private static FlushThread? s_current;

    private readonly SemaphoreSlim _wake = new(0);
    private ExecutionContext? _contextOfNobody;
    private FlushWork? _work;
    private long _turns;
    private long _owedSince = -1;
    private long _seen = -1;

    /// <summary>The thread that runs this code, if it is one of them.</summary>
    public static FlushThread? Current => s_current;

    /// <summary>Notes that the work is asked what there is to do, so that nothing is owed to it.</summary>
    public void Turn()
    {
        Volatile.Write(ref _owedSince, -1);
        _turns++;
    }

    /// <summary>Notes that there is work to come back to, if it is that which this thread runs.</summary>
    public bool TryOwe(FlushWork work)
    {
        if (_work != work)
        {
            return false;
        }

        Volatile.Write(ref _owedSince, _turns);
        return true;
    }

    /// <summary>The work that is owed, when it was owed already when this was called last. Called under the lock of <see cref="FlushThreads"/>.</summary>
    public FlushWork? TakeStalledWork()
    {
        var owedSince = Volatile.Read(ref _owedSince);
        var isStalled = owedSince >= 0 && owedSince == _seen;
        _seen = owedSince;
        return isStalled && Interlocked.CompareExchange(ref _owedSince, -1, owedSince) == owedSince ? Volatile.Read(ref _work) : null;
    }

    public void Run(FlushWork work)
    {
        s_current = this;
        _contextOfNobody ??= ExecutionContext.Capture();
        Volatile.Write(ref _work, work);
        try
        {
            work.Run(this);
        }
        finally
        {
            Volatile.Write(ref _work, null);
            s_current = null;

            // What the code of callers may have left behind.
            SynchronizationContext.SetSynchronizationContext(null);
            if (_contextOfNobody is not null)
            {
                ExecutionContext.Restore(_contextOfNobody);
            }
        }
    }

    public void Wake() => _wake.Release();

    /// <summary>Waits to be woken.</summary>
    /// <returns>False when the time has passed.</returns>
    public bool Park(TimeSpan time)
    {
        try
        {
            return _wake.Wait(time);
        }
        catch (OutOfMemoryException)
        {
            // It looks for work, and parks again.
            return false;
        }
    }
}
