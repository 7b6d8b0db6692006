using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Segments;

namespace KvStore.Writes;

/// <summary>
/// A mutation that was appended and is published when its append completes. Reused once its result was taken.
/// </summary>
/// <remarks>
/// It exists before the append, and nothing that it does afterwards allocates. An async method would allocate its state when it
/// first waits, after the append: when memory is short at that moment, nothing would publish or settle the mutation, and its caller
/// would wait for ever.
/// </remarks>
internal sealed class PendingPublication : MutationInFlight, IValueTaskSource, IValueTaskSource<KvWriteResult>
{
    private readonly PendingPublications _owner;
    private readonly Action _onAppended;

    // Continuations run where the append completes, which is never under a lock.
    private ManualResetValueTaskSourceCore<bool> _core;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _append;
    private Exception? _failure;

    public PendingPublication(PendingPublications owner)
    {
        _owner = owner;
        _onAppended = Finish;
    }

    public RecordDraft Draft { get; private set; }

    public long Revision { get; private set; }

    public long Place { get; private set; }

    public bool IsDelete => Draft.IsDelete;

    /// <summary>The record whose entry gets a new time to live, when that is all that the mutation changes.</summary>
    public Record Touched { get; private set; }

    public ReplicatedWrite? Replicated { get; private set; }

    public Overtaking? Overtaking { get; private set; }

    /// <summary>The next one in the pool; belongs to the pool.</summary>
    public PendingPublication? Next { get; set; }

    /// <summary>Describes the mutation.</summary>
    public void Prepare(in RecordDraft draft, long revision, long place, ReplicatedWrite? replicated, Overtaking? overtaking, Record touched)
    {
        Debug.Assert(Draft.IsNone && !draft.IsNone && revision > 0, "An object is used for one mutation at a time.");
        Draft = draft;
        Revision = revision;
        Place = place;
        Replicated = replicated;
        Overtaking = overtaking;
        Touched = touched;
    }

    /// <summary>Publishes the mutation when its append completes. Requires: <see cref="Prepare"/> was called.</summary>
    public ValueTask RunAsync(ValueTask append)
    {
        var task = new ValueTask(this, _core.Version);
        Run(append);
        return task;
    }

    /// <summary>As <see cref="RunAsync"/>, for a conditional write or a touch, whose result has the revision of the mutation.</summary>
    public ValueTask<KvWriteResult> RunConditionalAsync(ValueTask append)
    {
        var task = new ValueTask<KvWriteResult>(this, _core.Version);
        Run(append);
        return task;
    }

    public ValueTaskSourceStatus GetStatus(short token)
    {
        var status = _core.GetStatus(token);
        return status == ValueTaskSourceStatus.Succeeded && _failure is not null ? ValueTaskSourceStatus.Faulted : status;
    }

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    public void GetResult(short token) => TakeResult(token);

    KvWriteResult IValueTaskSource<KvWriteResult>.GetResult(short token) => TakeResult(token);

    private KvWriteResult TakeResult(short token)
    {
        _ = _core.GetResult(token);
        var failure = _failure;
        var result = new KvWriteResult(true, Revision);
        _failure = null;
        _core.Reset();
        _owner.Return(this);
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        return result;
    }

    private void Run(ValueTask append)
    {
        Debug.Assert(!Draft.IsNone, "Prepare comes before Run.");
        _append = append.ConfigureAwait(false).GetAwaiter();
        if (_append.IsCompleted)
        {
            Finish();
            return;
        }

        try
        {
            _append.UnsafeOnCompleted(_onAppended);
        }
        catch (OutOfMemoryException e)
        {
            // An append that completes meanwhile hands its continuation to the thread pool, which may need memory. Then nothing
            // calls back, and the result is there. Otherwise a provider failed to take the callback, and its outcome stays unknown.
            if (_append.IsCompleted)
            {
                Finish();
            }
            else
            {
                Complete(e);
            }
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
        failure = failure is null ? null : _owner.Named(this, failure);
        try
        {
            _owner.Finish(this, failure);
        }
        catch (Exception e)
        {
            Debug.Assert(e is not NullReferenceException and not IndexOutOfRangeException, "A publication fails for lack of memory or because the namespace was disposed, not because of a bug.");
            failure ??= e;
        }

        _append = default;
        Draft = default;
        Replicated = null;
        Overtaking = null;
        Touched = default;
        _failure = failure;
        _core.SetResult(true);
    }
}
