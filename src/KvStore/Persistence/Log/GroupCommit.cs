using System.Diagnostics.CodeAnalysis;

namespace KvStore.Persistence.Log;

/// <summary>
/// Group commit: many appends, one write and one flush. It is the flush loop, and it runs the continuations of the callers.
/// </summary>
/// <remarks>
/// <para><b>Callers</b> (any thread) lay their record out in the open batch under <see cref="_lock"/>; the order in which they take
/// the lock is the order of the log. <see cref="CommitQueue"/> has all states and decides what is done next; this class adds the lock,
/// the threads and the disk, and nothing else.</para>
/// <para><b>Workers</b> are threads of <see cref="FlushThreads"/>, which runs nothing but this: the flush does not wait for
/// the thread pool, whose threads may all be blocked by callers that wait for the flush. A worker takes the role of the
/// writer (at most one has it), writes and flushes without the lock, and completes callers.</para>
/// <para><b>Completions</b> run the continuations of the callers here, one after the other, on the worker that flushed and on others.
/// Before one is run, another worker is called as long as there is more to do, so that code which blocks delays only itself. Handing
/// each continuation to the thread pool costs more than all the rest of a put.</para>
/// <para><b>Coalesced flushes.</b> Most callers that complete put again at once. A flush that begins with the first of them would leave
/// all the others to the next flush and halve the throughput. So the next flush waits until the completions are through, but no longer
/// than a fraction of the time that the last flush took.</para>
/// <para><b>Groups.</b> A caller that appends many mutations announces it, and no flush begins until it has appended all of them
/// (<see cref="BeginGroup"/>). Otherwise a flush would begin with the first of them.</para>
/// <para>The idea of group commit is as old as DeWitt and others, "Implementation Techniques for Main Memory Database
/// Systems" (1984); that of letting the thread that flushed run the others' continuations is from flat combining (Hendler and
/// others, 2010).</para>
/// </remarks>
internal sealed partial class GroupCommit : FlushWork, IAsyncDisposable
{
    private readonly Durability _durability;
    private readonly FlushThreads _threads;
    private readonly Action<long> _written;
    private readonly Action<KvPersistenceException> _failed;
    private readonly Lock _lock = new();
    private readonly CommitQueue _queue;

    private readonly Group _group;

    // 1 since it was written to.
    private int _wasUsed;

    // Used by the worker that has the role of the writer; read by others under the lock while no worker has it.
    private readonly LogWriter _log;

    /// <summary>Begins to take mutations.</summary>
    /// <param name="log">Where they are written. It belongs to this object from now on.</param>
    /// <param name="durability">What a completed append promises.</param>
    /// <param name="time">Measures how long a flush takes.</param>
    /// <param name="threads">The threads that write.</param>
    /// <param name="written">Called after a batch was written, with the length of the file being written.</param>
    /// <param name="failed">Called once for each time that it fails for good.</param>
    public GroupCommit(
        LogWriter log,
        Durability durability,
        TimeProvider time,
        FlushThreads threads,
        Action<long> written,
        Action<KvPersistenceException> failed)
    {
        _log = log;
        _durability = durability;
        _threads = threads;
        _written = written;
        _failed = failed;
        _queue = new CommitQueue(durability, time) { HighestRevision = log.HighestRevision, Room = log.Room };
        _group = new Group(this);
        OpenPlace = new LinkedListNode<WeakReference<GroupCommit>>(new WeakReference<GroupCommit>(this));
    }

    /// <summary>What failed for good, until it is opened again.</summary>
    public KvPersistenceException? Failure => _queue.Failure;

    /// <summary>What the last write failed with; null once one has succeeded.</summary>
    public KvPersistenceException? LastError => _queue.LastError;

    /// <summary>The highest revision that was taken.</summary>
    public long HighestRevision
    {
        get
        {
            lock (_lock)
            {
                return _queue.HighestRevision;
            }
        }
    }

    /// <summary>Whether there is anything for the next <see cref="Tick"/>.</summary>
    public bool NeedsTick
    {
        get
        {
            lock (_lock)
            {
                return Failure is null && !_queue.IsClosed
                    && (!_queue.IsIdle || (_durability == Durability.Interval && _log.HasUnflushed));
            }
        }
    }

    /// <summary>Takes a mutation. See <see cref="IKvPersistence.AppendAsync"/>.</summary>
    public ValueTask AppendAsync(in KvMutation mutation)
    {
        var size = LogRecord.SizeOf(mutation);
        CommitQueue.Call call;
        ValueTask task;
        KvPersistenceException? notTaken;
        lock (_lock)
        {
            if (_queue.Refusal() is { } refusal)
            {
                return ValueTask.FromException(refusal);
            }

            call = _queue.Append(mutation, size, out var pending, out notTaken);
            task = pending?.AsTask ?? default;
        }

        // The exception takes memory, so it comes last: the worker must be called in any case.
        Do(call);
        return notTaken is not null ? ValueTask.FromException(notTaken) : task;
    }

    /// <summary>Puts everything on the disk that was taken before.</summary>
    public ValueTask FlushAsync()
    {
        lock (_lock)
        {
            if (Failure is null && !_queue.IsClosed && _queue.IsIdle && !_log.HasUnflushed)
            {
                return default;
            }
        }

        return new ValueTask(CommandAsync(rolls: false, closes: false).AsTask());
    }

    /// <summary>
    /// Ends the file after everything that was taken before, and begins a new one.
    /// </summary>
    /// <returns>The number of the last file that was finished.</returns>
    public ValueTask<long> RollAsync() => CommandAsync(rolls: true, closes: false);

    /// <summary>Puts everything on the disk and finishes the log. Nothing is taken afterwards.</summary>
    public ValueTask<long> CloseAsync() => CommandAsync(rolls: false, closes: true);

    /// <summary>The interval has passed: what was gathered goes on its way.</summary>
    public void Tick()
    {
        CommitQueue.Call call;
        lock (_lock)
        {
            call = _queue.Tick(_queue.IsIdle && _log.HasUnflushed);
        }

        Do(call);
    }

    /// <summary>Fails from outside: something that the log stands on has failed.</summary>
    public void Fail(KvPersistenceException failure)
    {
        CommitQueue.Call call;
        bool isFirst;
        lock (_lock)
        {
            (call, isFirst) = _queue.Fail(failure);
        }

        Do(call);
        if (isFirst)
        {
            Report(failure);
        }
    }

    /// <summary>
    /// After a failure: ends the log behind what was on the disk and begins a new one. Mutations are taken again when it
    /// has succeeded.
    /// </summary>
    /// <param name="beforeItBegins">
    /// Called with the number of the log that was ended, before mutations are taken: in the relaxed modes, what was
    /// acknowledged and not on the disk must be put there.
    /// </param>
    /// <returns>Whether it was opened again; false when it has not failed, or is closed.</returns>
    public async ValueTask<bool> TryReopenAsync(Func<long, ValueTask> beforeItBegins)
    {
        // The state of this method takes its memory here, and not when the role of the writer is taken: nobody would give it back.
        await Task.Yield();
        while (true)
        {
            PendingAppend? busy;
            ValueTask isFree = default;
            lock (_lock)
            {
                if (_queue.TryBeginReopen(out busy))
                {
                    break;
                }

                isFree = busy?.AsTask ?? default;
            }

            if (busy is null)
            {
                return false;
            }

            await isFree.ConfigureAwait(false);
        }

        var isWritable = false;
        try
        {
            _log.EndAfterFailure();
            await beforeItBegins(_log.Number).ConfigureAwait(false);
            _log.BeginAfterFailure();
            isWritable = true;
            return true;
        }
        finally
        {
            CommitQueue.Call call;
            lock (_lock)
            {
                call = _queue.EndReopen(isWritable, _log.Room);
            }

            Do(call);
        }
    }

    /// <summary>Closes the log once no worker writes to it any more, and no caller waits for it.</summary>
    public async ValueTask DisposeAsync()
    {
        CommitQueue.Call call;
        ValueTask idle;
        lock (_lock)
        {
            call = _queue.Dispose(out var pending);
            idle = pending.AsTask;
        }

        Do(call);
        await idle.ConfigureAwait(false);
        IsDisposed = true;
        OpenLogs.Shared.Remove(this);
        _log.Dispose();
    }

    /// <summary>Its place among the logs whose file is open. Guarded by the lock of <see cref="OpenLogs"/>.</summary>
    public LinkedListNode<WeakReference<GroupCommit>> OpenPlace { get; }

    /// <summary>Whether it is there. Changed under the lock of <see cref="OpenLogs"/>.</summary>
    [SuppressMessage("Design", "CA1051", Justification = "Read without the lock after each write.")]
    public bool IsListedAsOpen;

    /// <summary>Whether its file is closed for good.</summary>
    public bool IsDisposed { get; private set; }

    /// <summary>Whether it was written to since this was asked last.</summary>
    public bool TakeWasUsed() => Interlocked.Exchange(ref _wasUsed, 0) != 0;

    /// <summary>
    /// Closes the file until the next write, when nothing is to be written. What is not flushed is flushed before: the descriptor
    /// that wrote it is the one that reports when that fails.
    /// </summary>
    /// <returns>Whether the file is closed now.</returns>
    public bool TryRest()
    {
        lock (_lock)
        {
            if (!_queue.TryBeginRest())
            {
                return false;
            }
        }

        KvPersistenceException? failure = null;
        var isClosed = false;
        try
        {
            isClosed = _log.TryCloseFile();
        }
        catch (Exception e)
        {
            failure = LogFailures.Fatal(new WriteOutcome { KeptBytes = 0, Error = e, IsFatal = true });
        }

        CommitQueue.Call call;
        lock (_lock)
        {
            call = _queue.EndRest();
        }

        Do(call);
        if (failure is not null)
        {
            Fail(failure);
        }

        return isClosed;
    }

    /// <summary>Why nothing is taken.</summary>
    public KvPersistenceException? Refusal()
    {
        lock (_lock)
        {
            return _queue.Refusal();
        }
    }

    /// <summary>A worker: writes and completes until there is nothing to do.</summary>
    public override void Run(FlushThread thread)
    {
        var hasJustCome = true;
        while (true)
        {
            CommitQueue.Call call;
            RecordBatch? batch;
            PendingAppend? completion;
            thread.Turn();
            lock (_lock)
            {
                call = _queue.Next(hasJustCome, out batch, out completion);
            }

            hasJustCome = false;

            // Before the code of a caller runs, which may block.
            Do(call);
            if (batch is not null)
            {
                Write(batch);
            }
            else if (completion is not null)
            {
                Complete(completion);
            }
            else
            {
                return;
            }
        }
    }

    /// <summary>Runs the code of a caller.</summary>
    private static void Complete(PendingAppend completion)
    {
        try
        {
            completion.Complete();
        }
        catch (OutOfMemoryException)
        {
            // The result is there. What failed is to hand the caller's code to where the caller wants it to run; that must not end
            // the process, and the others are still to be completed.
        }
    }

    private ValueTask<long> CommandAsync(bool rolls, bool closes)
    {
        ValueTask<long> task;
        CommitQueue.Call call;
        lock (_lock)
        {
            if (_queue.Refusal() is { } refusal)
            {
                return ValueTask.FromException<long>(refusal);
            }

            call = _queue.Command(rolls, closes, out var pending);
            task = pending.AsResultTask;
        }

        Do(call);
        return task;
    }

    private void Write(RecordBatch batch)
    {
        // A failure from outside may have come in between; what was taken with it is not written any more.
        var outcome = Failure is { } earlier
            ? new WriteOutcome { KeptBytes = 0, Error = earlier, IsFatal = true, IsUndone = true }
            : _log.Write(batch, flushes: _durability == Durability.Immediate);
        CommitQueue.Call call;
        KvPersistenceException? failure;
        var isFileOpen = _log.IsFileOpen;
        Volatile.Write(ref _wasUsed, 1);
        lock (_lock)
        {
            (call, failure) = _queue.Settle(batch, outcome);
        }

        Do(call);
        if (isFileOpen)
        {
            OpenLogs.Shared.Add(this);
        }

        if (failure is not null)
        {
            Report(failure);
        }
        else if (outcome.Error is null)
        {
            _written(_log.FileBytes);
        }
    }

    private void Report(KvPersistenceException failure)
    {
        try
        {
            _failed(failure);
        }
        catch (Exception)
        {
            // The logger is the code of the application, and this is our thread. Health reports the failure as well, and so does each
            // refused call.
        }
    }

    // Throws nothing: what was taken under the lock is on its way.
    private void Do(CommitQueue.Call call)
    {
        if (call != CommitQueue.Call.None)
        {
            _threads.Queue(this, isParallel: call == CommitQueue.Call.Helper);
        }
    }
}
