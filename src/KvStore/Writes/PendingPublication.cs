using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;
using KvStore.Records;
using KvStore.Replication;

namespace KvStore.Writes;

/// <summary>
/// A mutation that was appended and is published when its append completes. Reused once its result was taken.
/// </summary>
/// <remarks>
/// It exists before the append, and nothing that it does afterwards allocates. An async method would allocate its state when it
/// first waits, after the append: where memory is short at that moment, nobody would be left to publish the mutation or to
/// settle it, and whoever waits for it would wait for ever.
/// </remarks>
internal sealed class PendingPublication : IValueTaskSource
{
    private readonly MutationLog _log;
    private readonly Action _onAppended;

    // Continuations run where the append completes, which is never under a lock.
    private ManualResetValueTaskSourceCore<bool> _core;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _append;
    private Exception? _failure;

    public PendingPublication(MutationLog log)
    {
        _log = log;
        _onAppended = Finish;
    }

    public RecordDraft Draft { get; private set; }

    public long Revision { get; private set; }

    public long Place { get; private set; }

    public bool IsDelete { get; private set; }

    public Departure? Departure { get; private set; }

    public Overtaking? Overtaking { get; private set; }

    /// <summary>The next one in the pool.</summary>
    public PendingPublication? Next { get; set; }

    /// <summary>Describes the mutation.</summary>
    public void Prepare(in RecordDraft draft, long revision, long place, bool isDelete, Departure? departure, Overtaking? overtaking)
    {
        Draft = draft;
        Revision = revision;
        Place = place;
        IsDelete = isDelete;
        Departure = departure;
        Overtaking = overtaking;
    }

    /// <summary>Publishes the mutation when its append completes. Requires: <see cref="Prepare"/> was called.</summary>
    public ValueTask RunAsync(ValueTask append)
    {
        var task = new ValueTask(this, _core.Version);
        _append = append.ConfigureAwait(false).GetAwaiter();
        if (_append.IsCompleted)
        {
            Finish();
            return task;
        }

        try
        {
            _append.UnsafeOnCompleted(_onAppended);
        }
        catch (OutOfMemoryException e)
        {
            // An append that completes meanwhile hands its continuation to the thread pool, which may need memory; then nobody
            // will call, and the result is there. The rest is a provider of somebody else's whose outcome cannot be heard of.
            if (_append.IsCompleted)
            {
                Finish();
            }
            else
            {
                Complete(e);
            }
        }

        return task;
    }

    public ValueTaskSourceStatus GetStatus(short token)
    {
        var status = _core.GetStatus(token);
        return status == ValueTaskSourceStatus.Succeeded && _failure is not null ? ValueTaskSourceStatus.Faulted : status;
    }

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    public void GetResult(short token)
    {
        _ = _core.GetResult(token);
        var failure = _failure;
        _failure = null;
        _core.Reset();
        _log.Return(this);
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    private void Finish()
    {
        Exception? failure = null;
        try
        {
            _append.GetResult();
        }
        catch (Exception e)
        {
            failure = e;
        }

        Complete(failure);
    }

    private void Complete(Exception? failure)
    {
        // Before the draft is given up, because the record has the key.
        failure = failure is null ? null : _log.Named(this, failure);
        try
        {
            _log.Finish(this, failure);
        }
        catch (Exception e)
        {
            Debug.Assert(e is not NullReferenceException and not IndexOutOfRangeException, "The mutation was not published because of a fault of ours.");
            failure ??= e;
        }

        _append = default;
        Draft = default;
        Departure = null;
        Overtaking = null;
        _failure = failure;
        _core.SetResult(true);
    }
}
