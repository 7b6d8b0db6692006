using System.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// The states of <see cref="GroupCommit"/>, without a thread, a lock or a disk: what waits, which worker writes, and which callers
/// are to be completed. A test runs through every order in which its methods can be called.
/// </summary>
/// <remarks>
/// <para><b>Memory.</b> <see cref="Append"/>, <see cref="Command"/>, <see cref="Dispose"/> and <see cref="TryBeginReopen"/> take all
/// of their memory before they change anything. Every other method allocates nothing: it could not be repeated after a failure.</para>
/// <para>Call every method while holding the lock of <see cref="GroupCommit"/>. A method that returns <see cref="Call"/> says what to
/// do after releasing the lock.</para>
/// <para><b>Who completes a caller.</b> A <see cref="PendingAppend"/> is in exactly one place: in the open batch, in the batch
/// that is being written, in the list of completions, or with the worker that took it from there. It moves from the open batch
/// to the list by <see cref="Fail"/>, to the batch being written by <see cref="Next"/>, from that to the list by
/// <see cref="Settle"/>. Nothing else moves it, and every place has a worker that empties it: the batch being written has its
/// worker; the list, and an open batch that waits for nothing, have a worker that was called and has not come yet,
/// or one that is between two calls of <see cref="Next"/>.</para>
/// </remarks>
internal partial class CommitQueue(Durability durability, TimeProvider time, int unwrittenBytesMax = CommitQueue.UnwrittenBytesMax)
{
    // In the relaxed modes: so much is gathered before it is written. A mutation waits when more than the maximum is not yet written, or
    // when the log is not sure to take it.
    private const int GatheredBytes = 64 * 1024;
    private const int UnwrittenBytesMax = 8 * 1024 * 1024;

    private readonly PendingAppendPool _pool = new();
    private readonly RecordBatches _batches = new();

    // The callers to complete, and those that wait until no worker writes.
    private readonly PendingAppendList _completions = new();
    private readonly PendingAppendList _idle = new();
    private readonly FlushDelay _delay = new(time);

    // The last caller in the open batch when the retained batch was taken to be written.
    private PendingAppend? _lastWaitingAtRetry;
    private bool _waitsForRetry;
    private Writer _writer;
    private bool _isHelperCalled;
    private bool _isClosed;
    private bool _isDisposing;
    private KvPersistenceException? _failure;
    private KvPersistenceException? _lastError;

    // What callers get whose records were not taken, while the last error says that others are kept.
    private KvPersistenceException? _lastRefusal;

    /// <summary>Who has the role of the writer. At most one thread writes.</summary>
    private enum Writer
    {
        /// <summary>Nobody.</summary>
        None,

        /// <summary>Whichever worker comes next: one was called.</summary>
        Wanted,

        /// <summary>The worker that took a batch, or the call that opens the log again.</summary>
        Taken,
    }

    /// <summary>What to do after releasing the lock.</summary>
    public enum Call
    {
        /// <summary>Nothing.</summary>
        None,

        /// <summary>Call a worker: there is something to write.</summary>
        Writer,

        /// <summary>Call a worker: there are more callers to complete than one worker.</summary>
        Helper,
    }

    /// <summary>What failed for good. Only <see cref="EndReopen"/> takes it away.</summary>
    public KvPersistenceException? Failure => Volatile.Read(ref _failure);

    /// <summary>What the last write failed with, if it failed; the next one may succeed.</summary>
    public KvPersistenceException? LastError => Volatile.Read(ref _lastError);

    /// <summary>Whether nothing is taken any more.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Whether everything that was taken is written, and no worker writes.</summary>
    public bool IsIdle => _writer == Writer.None && !_batches.HaveWork;

    /// <summary>The highest revision that was taken.</summary>
    public long HighestRevision { get; set; }

    /// <summary>
    /// The bytes of records that the log is sure to take, from the beginning of the open batch on. What is acknowledged before it is
    /// written fits, together with all that comes before it: whatever else fails, it can be written.
    /// </summary>
    public LogRoom Room { get; set; } = LogRoom.Unlimited;

    /// <summary>Why nothing is taken; null when it is.</summary>
    public KvPersistenceException? Refusal() =>
        _failure is not null ? LogFailures.Refused(_failure)
        : _isClosed ? new KvPersistenceException("The log is closed.")
        : null;

    /// <summary>Takes a mutation. Requires: <see cref="Refusal"/> is null.</summary>
    /// <param name="mutation">The mutation.</param>
    /// <param name="size">Its room in the log.</param>
    /// <param name="pending">The caller that waits for it; null when it has completed.</param>
    /// <param name="refusal">Why it was not taken; null when it was.</param>
    public Call Append(in KvMutation mutation, int size, out PendingAppend? pending, out KvPersistenceException? refusal)
    {
        pending = null;
        refusal = null;
        var open = _batches.Open;
        var through = open.Length + size;
        var waits = durability == Durability.Immediate || !MayAcknowledge(through, mutation.IsDelete);
        if (waits)
        {
            // Also where the last attempt has failed: who waits wants to know now.
            _waitsForRetry = false;
        }

        if (through > unwrittenBytesMax && _batches.Retained is not null)
        {
            // The disk takes nothing at the moment, and memory has no more room for what waits for it.
            refusal = _lastRefusal;
            return TryStart();
        }

        // What takes memory comes first: when it fails, nothing has changed.
        pending = waits ? _pool.Rent(through, mutation.IsDelete) : null;
        open.Add(mutation, size);
        HighestRevision = Math.Max(HighestRevision, mutation.Revision);
        if (pending is not null)
        {
            open.Add(pending);
        }
        else
        {
            open.Acknowledge();
        }

        return TryStart();
    }

    /// <summary>Whether a mutation may be acknowledged before it is written: it and all that comes before it in the open batch fit.</summary>
    /// <param name="through">Where its record would end in the open batch.</param>
    /// <param name="isDelete">Whether it is a delete, which may also go where puts may not. Not behind a put that waits and may fail.</param>
    protected virtual bool MayAcknowledge(long through, bool isDelete) =>
        through <= unwrittenBytesMax
        && (through <= Room.Puts || (isDelete && through <= Room.Deletes && _batches.Open.FirstWaiting is null));

    /// <summary>Takes a command, which is done after everything that was taken before. Requires: <see cref="Refusal"/> is null.</summary>
    public Call Command(bool rolls, bool closes, out PendingAppend pending)
    {
        pending = _pool.Rent(PendingAppend.Command, isDelete: false);
        _batches.Open.MustFlush = true;
        _batches.Open.MustRoll |= rolls;
        _batches.Open.MustClose |= closes;
        _isClosed |= closes;
        _waitsForRetry = false;
        _batches.Open.Add(pending);
        return TryStart();
    }

    /// <summary>The interval has passed: what was gathered goes on its way.</summary>
    /// <param name="hasUnflushed">Whether the log has records that are not on the disk.</param>
    public Call Tick(bool hasUnflushed)
    {
        if (_failure is not null || _isClosed)
        {
            return Call.None;
        }

        _waitsForRetry = false;
        _batches.Open.MustWrite |= _batches.Open.Length > 0;
        _batches.Open.MustFlush |= durability == Durability.Interval
            && (_batches.Open.Length > 0 || _batches.Retained is not null || _writer != Writer.None || hasUnflushed);
        return TryStart();
    }

    /// <summary>Something that the log depends on has failed. The callers that wait in the open batch fail with it.</summary>
    /// <returns>What to do, and whether this is the first failure.</returns>
    public (Call Call, bool IsFirst) Fail(KvPersistenceException failure)
    {
        if (_failure is not null)
        {
            return (Call.None, false);
        }

        Volatile.Write(ref _failure, failure);
        FailOpen(failure, isWriting: _writer == Writer.Taken);
        if (_writer == Writer.Wanted)
        {
            // The worker that was called finds only callers to complete.
            _writer = Writer.None;
        }

        return (SignalIdle(Call.None), true);
    }

    /// <summary>
    /// A worker asks what to do: write <paramref name="batch"/> and call <see cref="Settle"/>, or complete
    /// <paramref name="completion"/> and ask again, or, when there is neither, go.
    /// </summary>
    /// <param name="hasJustCome">Whether the worker was called and asks for the first time.</param>
    /// <param name="batch">What to write.</param>
    /// <param name="completion">The caller to complete.</param>
    public Call Next(bool hasJustCome, out RecordBatch? batch, out PendingAppend? completion)
    {
        batch = null;
        completion = null;
        if (hasJustCome)
        {
            _isHelperCalled = false;
        }

        GiveWayToGroups();
        if (_writer == Writer.Wanted)
        {
            _writer = Writer.Taken;
            _delay.WriteBegins();
            var isRetry = _batches.Retained is not null;
            _lastWaitingAtRetry = isRetry ? _batches.Open.LastWaiting : null;
            batch = _batches.Take();
            Room = isRetry ? Room : Room.Less(batch.Length);

            // The callers that are still to be completed do not wait for the disk.
            return CallHelper();
        }

        completion = _completions.TakeFirst();
        if (completion is null)
        {
            return Call.None;
        }

        // The code of a caller runs next, which may block: another worker must come for the rest.
        var call = TryStart();
        return call == Call.None ? CallHelper() : call;
    }

    /// <summary>The worker that took a batch has written it, or tried.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="outcome">What became of it.</param>
    /// <returns>What to do, and the failure, when this was the first.</returns>
    public (Call Call, KvPersistenceException? NewFailure) Settle(RecordBatch batch, in WriteOutcome outcome)
    {
        Debug.Assert(_writer == Writer.Taken, "Only the writer settles.");
        _writer = Writer.None;
        KvPersistenceException? newFailure = null;
        var losesAcknowledged = durability != Durability.Immediate && outcome.KeptBytes < batch.AcknowledgedBytes;
        Room = outcome.Room;
        if (outcome.Error is null)
        {
            if (batch.Length > 0 || batch.MustRoll)
            {
                // Flushing nothing proves nothing.
                Volatile.Write(ref _lastError, null);
            }

            Complete(batch.FirstWaiting, outcome, null);
            if (!_completions.IsEmpty)
            {
                _delay.Begin();
            }
        }
        else if (outcome.IsFatal || (losesAcknowledged && _isClosed))
        {
            // One that came from outside meanwhile explains it.
            var failure = _failure ?? LogFailures.Fatal(outcome);
            newFailure = _failure is null ? failure : null;
            Volatile.Write(ref _failure, failure);

            // A caller whose outcome is unknown gets that failure, whatever had failed before.
            Complete(batch.FirstWaiting, outcome, outcome.IsUndone || newFailure is not null ? failure : LogFailures.Fatal(outcome));
            FailOpen(failure, isWriting: false);
        }
        else
        {
            // A record before one that was acknowledged is written with it, now or later.
            var isRetained = losesAcknowledged && _failure is null;
            var error = LogFailures.Passing(outcome, isRetained: false);
            Complete(batch.FirstWaiting, isRetained ? outcome with { KeptBytes = batch.AcknowledgedBytes } : outcome, error);
            if (isRetained)
            {
                Retain(batch, outcome, error);
                Volatile.Write(ref _lastRefusal, error);
                error = LogFailures.Passing(outcome, isRetained: true);
            }

            Volatile.Write(ref _lastError, error);
        }

        if (_batches.Retained != batch)
        {
            _batches.Recycle(batch);
        }

        var call = TryStart();
        return (SignalIdle(call), newFailure);
    }

    /// <summary>What is not written and not being written, for a test: the open batch, and the one that is retained.</summary>
    internal IEnumerable<RecordBatch> Unwritten => _batches.Retained is { } retained ? [_batches.Open, retained] : [_batches.Open];

    /// <summary>All of the state as text, for a test that looks whether it has seen it before.</summary>
    internal string Describe(Func<PendingAppend?, string> waiting) =>
        Invariant($"{_writer} open {_batches.Open.Length} {_batches.Open.MustFlush} {_batches.Open.MustWrite} {_batches.Open.MustRoll} {_batches.Open.MustClose} {waiting(_batches.Open.FirstWaiting)}")
        + Invariant($"retained {_batches.Retained?.Length} {_batches.Retained?.WrittenBytes} room {Room.Puts} {Room.Deletes} {_batches.Open.AcknowledgedBytes} {_waitsForRetry} {waiting(_lastWaitingAtRetry)}completions {waiting(_completions.First)}idle {waiting(_idle.First)}")
        + Invariant($"{_isHelperCalled} {_groups} {_hasGroupEnded} {_delay.IsOn} {_isClosed} {_isDisposing} {_failure is null} {_lastError is null}");

    /// <summary>Decides whether a worker must come to write.</summary>
    private Call TryStart()
    {
        if (_writer != Writer.None || _failure is not null || _waitsForRetry || _groups > 0 || !_batches.HaveWork)
        {
            return Call.None;
        }

        if (durability != Durability.Immediate && _batches.Retained is null
            && _batches.Open.Length < GatheredBytes && _batches.Open.FirstWaiting is null && !_batches.Open.MustWrite && !_batches.Open.MustFlush)
        {
            return Call.None;
        }

        if (_delay.IsOn && !_isDisposing && !_completions.IsEmpty && !_delay.IsOver)
        {
            // The worker that takes the last completion starts the write, if no other call does before.
            return Call.None;
        }

        _delay.End();
        _writer = Writer.Wanted;
        return Call.Writer;
    }

    private Call CallHelper()
    {
        if (_completions.IsEmpty || _isHelperCalled)
        {
            return Call.None;
        }

        _isHelperCalled = true;
        return Call.Helper;
    }

    /// <summary>Fails the callers that wait in the open batch. A test replaces it by one that forgets them.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="isWriting">Whether a worker is writing another batch.</param>
    protected virtual void FailOpen(KvPersistenceException failure, bool isWriting)
    {
        Complete(_batches.Open.FirstWaiting, new WriteOutcome { KeptBytes = 0, Error = failure, IsFatal = true }, failure);
        _batches.Open.Reset();
        DropRetained();
    }

    private void DropRetained()
    {
        if (_batches.DropRetained())
        {
            _waitsForRetry = false;
        }
    }

    // In the relaxed modes: what was acknowledged is written when the disk takes it, before anything else.
    private void Retain(RecordBatch batch, in WriteOutcome outcome, KvPersistenceException error)
    {
        batch.CutOff();
        _batches.Retain(batch, outcome.KeptBytes);
        Room = Room.Less(batch.Length - batch.WrittenBytes);

        // The callers that wanted everything on the disk before this attempt began fail now. For commands that came later
        // there is another one. Mutations that wait would wait as long as the disk fails.
        var open = _batches.Open;
        var kept = new WriteOutcome { KeptBytes = open.AcknowledgedBytes, Error = error };
        Complete(open.TakeWaiting(_lastWaitingAtRetry), kept, error);
        Complete(open.TakeNotAcknowledged(), kept, error);
        open.CutOff();
        _waitsForRetry = open.FirstWaiting is null;
    }

    /// <summary>Moves the callers that wait for a batch, as a list, to the completions.</summary>
    private void Complete(PendingAppend? waiting, in WriteOutcome outcome, KvPersistenceException? error)
    {
        for (var pending = waiting; pending is not null; pending = pending.Next)
        {
            pending.Failure = outcome.Keeps(pending.Through, pending.IsDelete) ? null : error;
            pending.Result = outcome.FinishedNumber;
        }

        _completions.Add(waiting);
    }
}
