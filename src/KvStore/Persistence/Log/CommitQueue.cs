using System.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// The states of <see cref="GroupCommit"/>, without a thread, a lock or a disk: what waits, who writes, and who is to be
/// completed. A test runs through every order in which its methods can be called.
/// </summary>
/// <remarks>
/// <para><b>Memory.</b> <see cref="Append"/>, <see cref="Command"/>, <see cref="Dispose"/> and <see cref="TryBeginReopen"/> take all
/// of their memory before they change anything. Every other method allocates nothing: nobody could repeat it after a failure.</para>
/// <para>Every method is called while holding the lock of <see cref="GroupCommit"/>. One that returns <see cref="Call"/> says
/// what the caller must do after it has let the lock go.</para>
/// <para><b>Who completes a caller.</b> A <see cref="PendingAppend"/> is in exactly one place: in the open batch, in the batch
/// that is being written, in the list of completions, or with the worker that took it from there. It moves from the open batch
/// to the list by <see cref="Fail"/>, to the batch being written by <see cref="Next"/>, from that to the list by
/// <see cref="Settle"/>. Nothing else moves it, and every place has one who empties it: the batch being written has its
/// worker; the list, and an open batch that waits for nothing, have a worker that was called and has not come yet,
/// or one that is between two calls of <see cref="Next"/>.</para>
/// </remarks>
internal class CommitQueue(Durability durability, TimeProvider time, int unwrittenBytesMax = CommitQueue.UnwrittenBytesMax)
{
    // In the relaxed modes: so much is gathered before it is written, and with so much not yet written a put waits.
    private const int GatheredBytes = 64 * 1024;
    private const int UnwrittenBytesMax = 8 * 1024 * 1024;

    // The next write is held back for at most this part of the time that the last one took.
    private const int HoldDivisor = 2;

    private readonly PendingAppendPool _pool = new();

    // There are two batches. One is open; the other is the spare, is being written, or is retained.
    private RecordBatch _open = new();
    private RecordBatch? _spare = new();

    // In the relaxed modes: what could not be written and was acknowledged. It goes before everything else.
    private RecordBatch? _retained;
    private bool _waitsForRetry;

    // The last one that waited in the open batch when the retained one was taken to be written.
    private PendingAppend? _lastWaitingAtRetry;
    private Writer _writer;
    private PendingAppend? _firstCompletion;
    private PendingAppend? _lastCompletion;
    private bool _isHelperCalled;
    private bool _isHolding;
    private long _holdSince;
    private long _holdTicks;
    private long _began;
    private bool _isClosed;
    private bool _isDisposing;

    // Those who wait until nobody writes, as a list.
    private PendingAppend? _firstIdle;
    private KvPersistenceException? _failure;
    private KvPersistenceException? _lastError;

    /// <summary>Who has the role of the writer. At most one thread writes.</summary>
    private enum Writer
    {
        /// <summary>Nobody.</summary>
        None,

        /// <summary>Whichever worker comes next: one was called.</summary>
        Wanted,

        /// <summary>The worker that took a batch, or whoever opens the log again.</summary>
        Taken,
    }

    /// <summary>What the caller does after it has let the lock go.</summary>
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

    /// <summary>Whether nothing is taken that is not written yet, and nobody is writing.</summary>
    public bool IsIdle => _writer == Writer.None && !_open.HasWork && _retained is null;

    /// <summary>The highest revision that was taken.</summary>
    public long HighestRevision { get; set; }

    /// <summary>Why nothing is taken; null when it is.</summary>
    public KvPersistenceException? Refusal() =>
        _failure is not null ? LogFailures.Refused(_failure)
        : _isClosed ? new KvPersistenceException("The log is closed.")
        : null;

    /// <summary>Takes a mutation. Requires: <see cref="Refusal"/> is null.</summary>
    /// <param name="mutation">The mutation.</param>
    /// <param name="size">Its room in the log.</param>
    /// <param name="pending">Who waits for it; null when it has completed.</param>
    /// <param name="refusal">Why it was not taken; null when it was.</param>
    public Call Append(in KvMutation mutation, int size, out PendingAppend? pending, out KvPersistenceException? refusal)
    {
        pending = null;
        refusal = null;
        var isOver = _open.Length + size > unwrittenBytesMax;
        if (isOver && _retained is not null)
        {
            // The disk takes nothing at the moment, and memory has no more room for what waits for it.
            refusal = _lastError;
            _waitsForRetry = false;
            return TryStart();
        }

        // What takes memory comes first: when it fails, nothing has changed.
        var waits = durability == Durability.Immediate || isOver;
        pending = waits ? _pool.Rent(_open.Length + size, mutation.IsDelete) : null;
        _open.Add(mutation, size);
        HighestRevision = Math.Max(HighestRevision, mutation.Revision);
        if (pending is not null)
        {
            _open.Add(pending);
        }

        return TryStart();
    }

    /// <summary>Takes a command, which is done after everything that was taken before. Requires: <see cref="Refusal"/> is null.</summary>
    public Call Command(bool rolls, bool closes, out PendingAppend pending)
    {
        pending = _pool.Rent(long.MaxValue, isDelete: false);
        _open.MustFlush = true;
        _open.MustRoll |= rolls;
        _open.MustClose |= closes;
        _isClosed |= closes;
        _waitsForRetry = false;
        _open.Add(pending);
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
        _open.MustWrite |= _open.Length > 0;
        _open.MustFlush |= durability == Durability.Interval
            && (_open.Length > 0 || _retained is not null || _writer != Writer.None || hasUnflushed);
        return TryStart();
    }

    /// <summary>Something that the log stands on has failed. Whoever waits in the open batch is completed with it.</summary>
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
    /// <param name="completion">Whom to complete.</param>
    public Call Next(bool hasJustCome, out RecordBatch? batch, out PendingAppend? completion)
    {
        batch = null;
        completion = null;
        if (hasJustCome)
        {
            _isHelperCalled = false;
        }

        if (_writer == Writer.Wanted)
        {
            _writer = Writer.Taken;
            _began = time.GetTimestamp();
            if (_retained is not null)
            {
                batch = _retained;
                _retained = null;
                _lastWaitingAtRetry = _open.LastWaiting;
            }
            else
            {
                Debug.Assert(_spare is not null, "Nothing is retained or written, so the second batch is the spare.");
                batch = _open;
                _open = _spare;
                _spare = null;
                _lastWaitingAtRetry = null;
            }

            // Whoever is still to be completed does not wait for the disk.
            return CallHelper();
        }

        if (_firstCompletion is not { } first)
        {
            return Call.None;
        }

        completion = first;
        _firstCompletion = first.Next;
        first.Next = null;

        // The code of a caller runs next, which may block: somebody else must come for the rest.
        var call = TryStart();
        return call == Call.None ? CallHelper() : call;
    }

    /// <summary>The worker that took a batch has written it, or tried.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="outcome">What became of it.</param>
    /// <returns>What to do, and the failure, when this was the first.</returns>
    public (Call Call, KvPersistenceException? NewFailure) Settle(RecordBatch batch, in WriteOutcome outcome)
    {
        Debug.Assert(_writer == Writer.Taken, "Only whoever writes settles.");
        _writer = Writer.None;
        KvPersistenceException? newFailure = null;
        var losesAcknowledged = durability != Durability.Immediate && outcome.KeptBytes < batch.Length;
        if (outcome.Error is null)
        {
            if (batch.Length > 0 || batch.MustRoll)
            {
                // Flushing nothing proves nothing.
                Volatile.Write(ref _lastError, null);
            }

            Complete(batch.FirstWaiting, outcome, null);
            HoldNext();
        }
        else if (outcome.IsFatal || (losesAcknowledged && _isClosed))
        {
            // One that came from outside meanwhile explains it.
            var failure = _failure ?? LogFailures.Fatal(outcome);
            newFailure = _failure is null ? failure : null;
            Volatile.Write(ref _failure, failure);

            // Whoever has an unknown outcome is told so, whatever had failed before.
            Complete(batch.FirstWaiting, outcome, outcome.IsUndone || newFailure is not null ? failure : LogFailures.Fatal(outcome));
            FailOpen(failure, isWriting: false);
        }
        else
        {
            var error = LogFailures.Passing(outcome, durability);
            Volatile.Write(ref _lastError, error);
            Complete(batch.FirstWaiting, outcome, error);
            if (losesAcknowledged && _failure is null)
            {
                Retain(batch, outcome, error);
            }
        }

        if (_retained != batch)
        {
            Recycle(batch);
        }

        var call = TryStart();
        return (SignalIdle(call), newFailure);
    }

    /// <summary>Nothing is taken any more.</summary>
    /// <param name="idle">Completes when nobody writes, and nothing that somebody waits for is left to be written.</param>
    public Call Dispose(out PendingAppend idle)
    {
        idle = WhenIdle();
        _isClosed = true;
        _isDisposing = true;
        return SignalIdle(TryStart());
    }

    /// <summary>Takes the role of the writer after a failure.</summary>
    /// <param name="busy">Completes when whoever has the role gives it back, to ask again; null when nobody has it.</param>
    /// <returns>Whether it was taken. Not when nothing has failed, or it is closed.</returns>
    public bool TryBeginReopen(out PendingAppend? busy)
    {
        busy = null;
        if (_failure is null || _isClosed)
        {
            return false;
        }

        if (_writer != Writer.None)
        {
            busy = WhenIdle();
            return false;
        }

        Debug.Assert(!_open.HasWork, "Nothing is taken after a failure.");
        _writer = Writer.Taken;
        return true;
    }

    /// <summary>Gives the role back.</summary>
    /// <param name="isWritable">Whether the log can be written again: mutations are taken from now on.</param>
    public Call EndReopen(bool isWritable)
    {
        _writer = Writer.None;
        if (isWritable)
        {
            // What was not written is in the state that the log now stands for.
            DropRetained();
            _open.Reset();
            Volatile.Write(ref _lastError, null);
            Volatile.Write(ref _failure, null);
        }

        return SignalIdle(TryStart());
    }

    /// <summary>
    /// Takes the role of the writer to close the file of a log that rests: nobody writes, or wants to. In the relaxed modes something may
    /// have been gathered; it is written when its time comes. Not when the last write failed.
    /// </summary>
    /// <returns>Whether it was taken; then <see cref="EndRest"/> gives it back.</returns>
    public bool TryBeginRest()
    {
        if (_writer != Writer.None || _retained is not null || _failure is not null || _isDisposing)
        {
            return false;
        }

        _writer = Writer.Taken;
        return true;
    }

    /// <summary>Gives the role back.</summary>
    public Call EndRest()
    {
        Debug.Assert(_writer == Writer.Taken, "It was taken to rest.");
        _writer = Writer.None;
        return SignalIdle(TryStart());
    }

    /// <summary>All of the state as text, for a test that looks whether it has seen it before.</summary>
    internal string Describe(Func<PendingAppend?, string> waiting) =>
        Invariant($"{_writer} open {_open.Length} {_open.MustFlush} {_open.MustWrite} {_open.MustRoll} {_open.MustClose} {waiting(_open.FirstWaiting)}")
        + Invariant($"retained {_retained?.Length} {_retained?.WrittenBytes} {_waitsForRetry} {waiting(_lastWaitingAtRetry)}completions {waiting(_firstCompletion)}idle {waiting(_firstIdle)}")
        + Invariant($"{_isHelperCalled} {_isHolding} {_isClosed} {_isDisposing} {_failure is null} {_lastError is null}");

    /// <summary>Decides whether a worker must come to write.</summary>
    private Call TryStart()
    {
        if (_writer != Writer.None || _failure is not null || _waitsForRetry || !(_open.HasWork || _retained is not null))
        {
            return Call.None;
        }

        if (durability != Durability.Immediate && _retained is null
            && _open.Length < GatheredBytes && _open.FirstWaiting is null && !_open.MustWrite && !_open.MustFlush)
        {
            return Call.None;
        }

        if (_isHolding && !_isDisposing && _firstCompletion is not null && time.GetTimestamp() - _holdSince < _holdTicks)
        {
            // The worker that takes the last completion starts it, if nobody does before.
            return Call.None;
        }

        _isHolding = false;
        _writer = Writer.Wanted;
        return Call.Writer;
    }

    private Call CallHelper()
    {
        if (_firstCompletion is null || _isHelperCalled)
        {
            return Call.None;
        }

        _isHelperCalled = true;
        return Call.Helper;
    }

    // Most of those who are completed put again at once. A write that begins with the first of them would leave all the others
    // to the next one.
    private void HoldNext()
    {
        if (_firstCompletion is not null)
        {
            _isHolding = true;
            _holdSince = time.GetTimestamp();
            _holdTicks = (_holdSince - _began) / HoldDivisor;
        }
    }

    /// <summary>Completes those who wait in the open batch with a failure. A test replaces it by one that forgets them.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="isWriting">Whether a worker is writing another batch.</param>
    protected virtual void FailOpen(KvPersistenceException failure, bool isWriting)
    {
        Complete(_open.FirstWaiting, new WriteOutcome { KeptBytes = 0, Error = failure, IsFatal = true }, failure);
        _open.Reset();
        DropRetained();
    }

    private void DropRetained()
    {
        if (_retained is { } retained)
        {
            _retained = null;
            _waitsForRetry = false;
            Recycle(retained);
        }
    }

    private void Recycle(RecordBatch batch)
    {
        Debug.Assert(_spare is null, "There are two batches.");
        batch.Reset();
        _spare = batch;
    }

    // In the relaxed modes the records were acknowledged; they are written when the disk takes them, before anything else.
    private void Retain(RecordBatch batch, in WriteOutcome outcome, KvPersistenceException error)
    {
        batch.WrittenBytes = outcome.KeptBytes;
        batch.ForgetWaiting();
        _retained = batch;

        // Whoever wanted everything on the disk before this attempt began hears now that it cannot be. For those who came later
        // there is another one.
        Complete(_open.TakeWaiting(_lastWaitingAtRetry), new WriteOutcome { KeptBytes = 0, Error = error }, error);
        _waitsForRetry = _open.FirstWaiting is null;
    }

    /// <summary>Moves those who wait for a batch, as a list, to the completions.</summary>
    private void Complete(PendingAppend? waiting, in WriteOutcome outcome, KvPersistenceException? error)
    {
        if (waiting is not { } first)
        {
            return;
        }

        AddCompletions(first);
        for (var pending = first; pending is not null; pending = pending.Next)
        {
            // In the relaxed modes a put that waits has been taken; it waits for nothing but its turn.
            var isKept = outcome.Keeps(pending.Through, pending.IsDelete)
                || (durability != Durability.Immediate && !outcome.IsFatal && _failure is null && pending.Through != long.MaxValue);
            pending.Failure = isKept ? null : error;
            pending.Result = outcome.FinishedNumber;
            _lastCompletion = pending;
        }
    }

    private void AddCompletions(PendingAppend first)
    {
        if (_firstCompletion is null)
        {
            _firstCompletion = first;
        }
        else
        {
            _lastCompletion!.Next = first;
        }
    }

    /// <summary>Completes those who wait until nobody writes, if nobody does.</summary>
    /// <returns>What to do: what is given, or if that is nothing, what the completions ask for.</returns>
    private Call SignalIdle(Call call)
    {
        if (_firstIdle is { } first && _writer == Writer.None && _open.FirstWaiting is null)
        {
            _firstIdle = null;
            AddCompletions(first);
            for (var pending = first; pending is not null; pending = pending.Next)
            {
                _lastCompletion = pending;
            }
        }

        return call == Call.None ? CallHelper() : call;
    }

    private PendingAppend WhenIdle()
    {
        var pending = _pool.Rent(0, isDelete: false);
        pending.Next = _firstIdle;
        _firstIdle = pending;
        return pending;
    }
}
