namespace KvStore.Persistence.Log;

/// <summary>
/// Many appends, one write and one flush: whatever waits is written together, and who waited goes on.
/// </summary>
/// <remarks>
/// <para><b>Callers</b> (any thread) lay their record out in the open batch under <see cref="_gate"/>; the order in which
/// they get there is the order of the log. <b>The flush loop</b> is not a thread but a role, which at most one thread of the
/// pool has at a time: it takes the open batch, writes and flushes it without the gate, and leaves those who waited for
/// it in the list of completions.</para>
/// <para><b>Completions</b> run the code of those who awaited, here, one after the other, on the thread that flushed and on
/// as many others as are free: before one is run, another thread is asked for as long as there are more, so that code which
/// blocks holds up only itself. Handing each to the pool by itself costs more than all the rest of a put.</para>
/// <para><b>Holding.</b> Most of those who are completed put again at once. A flush that begins with the first of them would
/// leave all the others to the next one and halve the throughput, so the next flush waits until the completions are
/// through, but no longer than a fraction of the time that the last flush took.</para>
/// <para><b>Always true:</b> at most one thread is in <see cref="WriteBatch"/>. When there is work, and nobody is writing and
/// nothing is held, a work item is queued. After a failure nothing is written any more.</para>
/// <para>The idea of group commit is as old as DeWitt and others, "Implementation Techniques for Main Memory Database
/// Systems" (1984); that of letting the thread that flushed run the others' continuations is from flat combining (Hendler and
/// others, 2010).</para>
/// </remarks>
internal sealed class GroupCommit : IThreadPoolWorkItem, IAsyncDisposable
{
    // In the relaxed modes: so much is gathered before it is written, and with so much not yet written a put waits.
    private const int GatheredBytes = 64 * 1024;
    private const int UnwrittenBytesMax = 8 * 1024 * 1024;

    // The next flush is held back for at most this part of the time that the last one took.
    private const int HoldDivisor = 2;

    private readonly TimeProvider _time;
    private readonly Durability _durability;
    private readonly PendingAppendPool _pool = new();
    private readonly Lock _gate = new();

    // Under the gate.
    private RecordBatch _open = new();
    private RecordBatch? _spare = new();
    private Loop _loop;
    private PendingAppend? _firstCompletion;
    private PendingAppend? _lastCompletion;
    private bool _isHelperQueued;
    private bool _isHolding;
    private long _holdSince;
    private long _holdTicks;
    private bool _isClosed;
    private TaskCompletionSource? _idle;
    private long _highestRevision;
    private KvPersistenceException? _failure;

    // The flush loop's; read by others under the gate while nobody is writing.
    private readonly LogWriter _log;

    public GroupCommit(LogWriter log, Durability durability, TimeProvider time)
    {
        _log = log;
        _highestRevision = log.HighestRevision;
        _durability = durability;
        _time = time;
    }

    private enum Loop
    {
        Idle,
        Queued,
        Writing,
    }

    /// <summary>What failed, once something did. It never goes away.</summary>
    public KvPersistenceException? Failure => Volatile.Read(ref _failure);

    /// <summary>The highest revision that was taken.</summary>
    public long HighestRevision
    {
        get
        {
            lock (_gate)
            {
                return _highestRevision;
            }
        }
    }

    /// <summary>Called by the flush loop after a batch was written, with the length of the file being written.</summary>
    public Action<long>? Written { get; set; }

    /// <summary>Called once when it fails.</summary>
    public Action<KvPersistenceException>? Failed { get; set; }

    /// <summary>Takes a mutation. See <see cref="IKvPersistence.AppendAsync"/>.</summary>
    public ValueTask AppendAsync(in KvMutation mutation)
    {
        var size = LogRecord.SizeOf(mutation);
        PendingAppend? pending = null;
        ValueTask task = default;
        bool starts;
        lock (_gate)
        {
            if (_failure is not null || _isClosed)
            {
                return ValueTask.FromException(Refusal());
            }

            _open.Add(mutation, size);
            _highestRevision = Math.Max(_highestRevision, mutation.Revision);
            if (_durability == Durability.Immediate || _open.Length > UnwrittenBytesMax)
            {
                pending = _pool.Rent();
                task = pending.AsTask;
                _open.Add(pending);
            }

            starts = TryStart();
        }

        if (starts)
        {
            Queue();
        }

        return task;
    }

    /// <summary>Puts everything on the disk that was taken before.</summary>
    public ValueTask FlushAsync()
    {
        lock (_gate)
        {
            if (_failure is null && !_isClosed && _loop == Loop.Idle && !_open.HasWork && !_log.HasUnflushed)
            {
                return default;
            }
        }

        return new ValueTask(CommandAsync(static batch => batch.MustFlush = true).AsTask());
    }

    /// <summary>
    /// Ends the file after everything that was taken before, and begins a new one.
    /// </summary>
    /// <returns>The number of the last file that was finished.</returns>
    public ValueTask<long> RollAsync() => CommandAsync(static batch => batch.MustFlush = batch.MustRoll = true);

    /// <summary>Puts everything on the disk and finishes the log. Nothing is taken afterwards.</summary>
    public ValueTask<long> CloseAsync() => CommandAsync(static batch => batch.MustFlush = batch.MustClose = true);

    /// <summary>The interval has passed: what was gathered goes on its way.</summary>
    public void Tick()
    {
        bool starts;
        lock (_gate)
        {
            if (_failure is not null || _isClosed)
            {
                return;
            }

            _open.MustWrite |= _open.Length > 0;
            _open.MustFlush |= _durability == Durability.Interval
                && (_open.Length > 0 || _loop != Loop.Idle || _log.HasUnflushed);
            starts = TryStart();
        }

        if (starts)
        {
            Queue();
        }
    }

    /// <summary>Fails from outside: something that the log stands on has failed.</summary>
    public void Fail(KvPersistenceException failure)
    {
        PendingAppend? orphans = null;
        lock (_gate)
        {
            if (_failure is not null)
            {
                return;
            }

            Volatile.Write(ref _failure, failure);
            if (_loop != Loop.Writing)
            {
                // Nobody will come for them; who is writing takes them along.
                orphans = _open.FirstWaiting;
                _open.Reset();
                AddCompletions(orphans, failure);
            }
        }

        Failed?.Invoke(failure);
        if (orphans is not null)
        {
            Queue();
        }
    }

    /// <summary>Lets go of the log once nobody writes to it any more.</summary>
    public async ValueTask DisposeAsync()
    {
        Task idle;
        lock (_gate)
        {
            _isClosed = true;
            _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_loop == Loop.Idle)
            {
                _idle.TrySetResult();
            }

            idle = _idle.Task;
        }

        await idle.ConfigureAwait(false);
        _log.Dispose();
    }

    /// <summary>A turn of the role, or of a helper with the completions.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        var isFirstTurn = true;
        while (true)
        {
            RecordBatch? batch = null;
            PendingAppend? completion = null;
            var queues = false;
            lock (_gate)
            {
                if (isFirstTurn)
                {
                    _isHelperQueued = false;
                    isFirstTurn = false;
                }

                if (_loop == Loop.Queued)
                {
                    _loop = Loop.Writing;
                    batch = _open;
                    _open = _spare ?? new RecordBatch();
                    _spare = null;
                }
                else if (_firstCompletion is { } first)
                {
                    completion = first;
                    _firstCompletion = first.Next;
                    first.Next = null;
                    queues = TryStart();
                    if (!queues && _firstCompletion is not null && !_isHelperQueued)
                    {
                        _isHelperQueued = true;
                        queues = true;
                    }
                }
                else
                {
                    return;
                }
            }

            if (queues)
            {
                // Before the code of the caller runs, which may block.
                Queue();
            }

            completion?.Complete();
            if (batch is not null)
            {
                WriteBatch(batch);
            }
        }
    }

    private ValueTask<long> CommandAsync(Action<RecordBatch> command)
    {
        ValueTask<long> task;
        bool starts;
        lock (_gate)
        {
            if (_failure is not null || _isClosed)
            {
                return ValueTask.FromException<long>(Refusal());
            }

            command(_open);
            _isClosed |= _open.MustClose;
            var pending = _pool.Rent();
            task = pending.AsResultTask;
            _open.Add(pending);
            starts = TryStart();
        }

        if (starts)
        {
            Queue();
        }

        return task;
    }

    private void WriteBatch(RecordBatch batch)
    {
        KvPersistenceException? failure = null;
        var result = 0L;
        var began = _time.GetTimestamp();
        if (Failure is { } earlier)
        {
            failure = earlier;
        }
        else
        {
            try
            {
                result = WriteToLog(batch);
            }
            catch (Exception e)
            {
                failure = new KvPersistenceException(
                    $"Writing to the log failed: {e.Message.TrimEnd('.')}. Nothing more is written until the namespace is opened again.", e);
                if (_durability == Durability.Immediate)
                {
                    // Nobody was told that any of it is kept. In the relaxed modes somebody was, so it may stay.
                    _log.Forget();
                }
            }
        }

        var isNewFailure = false;
        lock (_gate)
        {
            _loop = Loop.Idle;
            if (failure is not null)
            {
                isNewFailure = _failure is null;
                Volatile.Write(ref _failure, _failure ?? failure);
                AddCompletions(batch.FirstWaiting, failure);
                AddCompletions(_open.FirstWaiting, failure);
                _open.Reset();
            }
            else if (batch.FirstWaiting is { } waiting)
            {
                AddCompletions(waiting, null, result);
                _isHolding = true;
                _holdSince = _time.GetTimestamp();
                _holdTicks = (_holdSince - began) / HoldDivisor;
            }

            batch.Reset();
            _spare = batch;
            if (!TryStart())
            {
                _idle?.TrySetResult();
            }
        }

        if (isNewFailure)
        {
            Failed?.Invoke(failure!);
        }
        else if (failure is null)
        {
            Written?.Invoke(_log.FileBytes);
        }
    }

    private long WriteToLog(RecordBatch batch)
    {
        var flushes = batch.MustFlush || _durability == Durability.Immediate;
        _log.Write(batch, flushes);
        var finished = batch.MustRoll ? _log.Roll() : 0;
        if (batch.MustClose)
        {
            _log.Close();
        }

        return finished;
    }

    // All of the following: under the gate.

    /// <summary>Decides whether somebody must come to write. Whoever gets a yes queues a work item, or is one.</summary>
    private bool TryStart()
    {
        if (_loop != Loop.Idle || !_open.HasWork || _failure is not null)
        {
            return false;
        }

        if (_durability != Durability.Immediate
            && _open.Length < GatheredBytes && _open.FirstWaiting is null && !_open.MustWrite && !_open.MustFlush)
        {
            return false;
        }

        if (_isHolding && _firstCompletion is not null && _time.GetTimestamp() - _holdSince < _holdTicks)
        {
            return false;
        }

        _isHolding = false;
        _loop = Loop.Queued;
        return true;
    }

    private void AddCompletions(PendingAppend? first, KvPersistenceException? failure, long result = 0)
    {
        if (first is null)
        {
            return;
        }

        if (_firstCompletion is null)
        {
            _firstCompletion = first;
        }
        else
        {
            _lastCompletion!.Next = first;
        }

        for (var pending = first; pending is not null; pending = pending.Next)
        {
            pending.Result = result;
            pending.Failure = failure;
            _lastCompletion = pending;
        }
    }

    /// <summary>What whoever comes too late is told.</summary>
    public KvPersistenceException Refusal() => Failure is { } failure
        ? new KvPersistenceException(
            "The disk has failed before, so nothing is written any more; reads go on. Open the namespace again when the disk is well.",
            failure)
        : new KvPersistenceException("The log is closed.");

    private void Queue() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
}
