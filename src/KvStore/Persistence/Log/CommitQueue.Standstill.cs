using System.Diagnostics;

namespace KvStore.Persistence.Log;

/// <content>What needs the role of the writer for itself: closing, reopening after a failure, and a log that rests.</content>
internal partial class CommitQueue
{
    /// <summary>Nothing is taken any more.</summary>
    /// <param name="idle">Completes when no worker writes, and nothing that a caller waits for is left to be written.</param>
    public Call Dispose(out PendingAppend idle)
    {
        idle = WhenIdle();
        _isClosed = true;
        _isDisposing = true;
        return SignalIdle(TryStart());
    }

    /// <summary>Takes the role of the writer after a failure.</summary>
    /// <param name="busy">Completes when the role is free, so that the caller tries again; null when the role is free.</param>
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

        Debug.Assert(!_batches.Open.HasWork, "Nothing is taken after a failure.");
        _writer = Writer.Taken;
        return true;
    }

    /// <summary>Gives the role back.</summary>
    /// <param name="isWritable">Whether the log can be written again: mutations are taken from now on.</param>
    /// <param name="room">What the log is sure to take.</param>
    public Call EndReopen(bool isWritable, LogRoom room)
    {
        _writer = Writer.None;
        Room = room;
        if (isWritable)
        {
            // What was not written is in the state that the log now stands for.
            DropRetained();
            _batches.Open.Reset();
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
        if (_writer != Writer.None || _batches.Retained is not null || _failure is not null || _isDisposing)
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

    /// <summary>Completes the callers that wait until no worker writes, when none does.</summary>
    /// <returns>The given call, or when that is none, the one that the completions need.</returns>
    private Call SignalIdle(Call call)
    {
        if (!_idle.IsEmpty && _writer == Writer.None && _batches.Open.FirstWaiting is null)
        {
            _completions.Add(_idle.TakeAll());
        }

        return call == Call.None ? CallHelper() : call;
    }

    private PendingAppend WhenIdle()
    {
        var pending = _pool.Rent(0, isDelete: false);
        _idle.Add(pending);
        return pending;
    }
}
