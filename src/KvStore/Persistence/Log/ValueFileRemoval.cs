using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>Removes the files of released large values, each after a flush of the log.</summary>
/// <remarks>
/// What replaced a value might otherwise be lost by a crash that the removal survives, and the log would refer to a file that does not
/// exist. Released files form a list linked through the files, so that a release needs no memory: it happens in the middle of a
/// mutation. Thread safety: all members, from any thread.
/// </remarks>
/// <param name="flush">Puts on the disk what was appended so far.</param>
internal sealed class ValueFileRemoval(Func<ValueTask> flush)
{
    private readonly Lock _lock = new();
    private ValueFile? _released;
    private bool _isSuspended;
    private bool _isClosed;
    private bool _isRemoving;

    // Those that wait until what is in the list, or what was taken from it, can be removed.
    private TaskCompletionSource? _nextDone;
    private TaskCompletionSource? _currentDone;
    private Task _removal = Task.CompletedTask;

    /// <summary>Removes a file that was released, when its last lease has ended.</summary>
    public void Add(ValueFile file)
    {
        lock (_lock)
        {
            file.NextReleased = _released;
            _released = file;
            StartHoldingLock();
        }
    }

    /// <summary>Removes nothing that is released from now on, until <see cref="Resume"/>.</summary>
    public void Suspend()
    {
        lock (_lock)
        {
            _isSuspended = true;
        }
    }

    /// <summary>Removes what was released meanwhile, or what a failure of the log has left.</summary>
    public void Resume()
    {
        lock (_lock)
        {
            _isSuspended = false;
            StartHoldingLock();
        }
    }

    /// <summary>Removes what was released before the call, because space is short. What it removes may have been removed before it is called.</summary>
    public Task RemoveNowAsync()
    {
        lock (_lock)
        {
            if (_isSuspended || _isClosed)
            {
                return Task.CompletedTask;
            }

            if (_released is null)
            {
                return _isRemoving ? (_currentDone ??= NewDone()).Task : Task.CompletedTask;
            }

            var done = _nextDone ??= NewDone();
            StartHoldingLock();
            return _isRemoving ? done.Task : Task.CompletedTask;
        }
    }

    /// <summary>The log is closed: removes what is left, and nothing later.</summary>
    /// <param name="isFlushed">Whether everything appended is on the disk; otherwise nothing is removed.</param>
    public async ValueTask CloseAsync(bool isFlushed)
    {
        Task removal;
        lock (_lock)
        {
            _isClosed = true;
            removal = _removal;
        }

        await removal.ConfigureAwait(false);
        if (isFlushed)
        {
            ValueFile? released;
            lock (_lock)
            {
                // A put that comes too late may release its value meanwhile.
                released = _released;
                _released = null;
            }

            AllowRemoval(released);
        }
    }

    private static TaskCompletionSource NewDone() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static void AllowRemoval(ValueFile? first)
    {
        while (first is { } file)
        {
            first = file.NextReleased;
            file.NextReleased = null;
            file.AllowRemoval();
        }
    }

    private void StartHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (!_isRemoving && _released is not null && !_isClosed)
        {
            try
            {
                AllocationProbe.Before();
                _isRemoving = true;
                _removal = Task.Run(RemoveReleasedAsync);
            }
            catch (OutOfMemoryException)
            {
                // The mutation that released the file is made. The next release begins again, or closing does.
                _isRemoving = false;
            }
        }
    }

    private async Task RemoveReleasedAsync()
    {
        while (TryTakeReleased(out var released))
        {
            try
            {
                await flush().ConfigureAwait(false);
            }
            catch (Exception e) when (e is KvPersistenceException or OutOfMemoryException)
            {
                // When the log is closed, closing removes the rest. When the log failed, writers get the exception, and nothing is
                // removed until the directory is opened again, because it is not known what the disk has of the last writes. When
                // there was no memory, the next release begins again.
                PutBack(released);
                return;
            }

            AllowRemoval(released);
        }
    }

    private bool TryTakeReleased([NotNullWhen(true)] out ValueFile? released)
    {
        lock (_lock)
        {
            Debug.Assert(_isRemoving, "One task removes at a time.");

            // What was taken before this call is removed.
            _currentDone?.SetResult();
            _currentDone = null;
            released = _released;
            if (_isClosed || _isSuspended || released is null)
            {
                _isRemoving = false;
                _nextDone?.SetResult();
                _nextDone = null;
                return false;
            }

            _released = null;
            _currentDone = _nextDone;
            _nextDone = null;
            return true;
        }
    }

    private void PutBack(ValueFile released)
    {
        lock (_lock)
        {
            var last = released;
            while (last.NextReleased is { } next)
            {
                last = next;
            }

            last.NextReleased = _released;
            _released = released;
            _isRemoving = false;
            _currentDone?.SetResult();
            _nextDone?.SetResult();
            _currentDone = _nextDone = null;
        }
    }
}
