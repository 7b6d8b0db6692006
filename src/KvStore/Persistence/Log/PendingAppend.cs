using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;
using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>One caller that waits for a batch to be written. Reused once its result was taken, so that waiting allocates nothing.</summary>
internal sealed class PendingAppend(PendingAppendPool pool) : IValueTaskSource, IValueTaskSource<long>
{
    // Continuations run where Complete is called, which is never under a lock: see GroupCommit.
    private ManualResetValueTaskSourceCore<long> _core = new() { RunContinuationsAsynchronously = false };

    /// <summary>The next in the list that it is in.</summary>
    public PendingAppend? Next { get; set; }

    /// <summary>Where its record ends in the batch; more than any batch holds for a command, which wants all of it.</summary>
    public long Through { get; set; }

    /// <summary>The <see cref="Through"/> of a command.</summary>
    public const long Command = long.MaxValue;

    /// <summary>Whether it is a command, which has no record.</summary>
    public bool IsCommand => Through == Command;

    /// <summary>Whether its record is a delete.</summary>
    public bool IsDelete { get; set; }

    /// <summary>What it will complete with, once that is decided.</summary>
    public long Result { get; set; }

    /// <summary>What it will fail with, when it does.</summary>
    public Exception? Failure { get; set; }

    public ValueTask AsTask => new(this, _core.Version);

    public ValueTask<long> AsResultTask => new(this, _core.Version);

    /// <summary>Completes it. It may be in use for something else before this returns.</summary>
    /// <remarks>Allocates nothing, so not <c>SetException</c>, which does: the thread that takes the result makes the exception.</remarks>
    public void Complete() => _core.SetResult(Result);

    public ValueTaskSourceStatus GetStatus(short token)
    {
        var status = _core.GetStatus(token);
        return status == ValueTaskSourceStatus.Succeeded && Failure is not null ? ValueTaskSourceStatus.Faulted : status;
    }

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    public long GetResult(short token)
    {
        var result = _core.GetResult(token);
        var failure = Failure;
        _core.Reset();
        Failure = null;
        Result = 0;
        pool.Return(this);
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        return result;
    }

    void IValueTaskSource.GetResult(short token) => GetResult(token);
}

/// <summary>Keeps <see cref="PendingAppend"/>s for reuse. Thread safety: all members, from any thread.</summary>
internal sealed class PendingAppendPool
{
    private const int KeptMax = 4096;

    private readonly Lock _lock = new();
    private PendingAppend? _first;
    private int _count;

    public PendingAppend Rent(long through, bool isDelete)
    {
        var pending = Take() ?? New();
        pending.Through = through;
        pending.IsDelete = isDelete;
        return pending;
    }

    public void Return(PendingAppend pending)
    {
        lock (_lock)
        {
            if (_count < KeptMax)
            {
                pending.Next = _first;
                _first = pending;
                _count++;
            }
        }
    }

    private PendingAppend New()
    {
        AllocationProbe.Before();
        return new PendingAppend(this);
    }

    private PendingAppend? Take()
    {
        lock (_lock)
        {
            if (_first is not { } pending)
            {
                return null;
            }

            _first = pending.Next;
            _count--;
            pending.Next = null;
            return pending;
        }
    }
}
