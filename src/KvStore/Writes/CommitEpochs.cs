using System.Diagnostics;

namespace KvStore.Writes;

/// <summary>Finds out when all commits that had begun at some moment have ended, while others begin.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class CommitEpochs
{
    private readonly Lock _lock = new();
    private readonly long[] _open = new long[2];
    private int _current;
    private TaskCompletionSource? _idle;

    /// <summary>A commit begins.</summary>
    /// <returns>Its epoch, for <see cref="End"/>.</returns>
    public int Begin()
    {
        lock (_lock)
        {
            _open[_current]++;
            return _current;
        }
    }

    /// <summary>A commit has ended, and what it changed is visible.</summary>
    public void End(int epoch)
    {
        lock (_lock)
        {
            _open[epoch]--;
            Debug.Assert(_open[epoch] >= 0, "A commit ends once.");
            if (_open[0] + _open[1] == 0)
            {
                _idle?.TrySetResult();
            }
        }
    }

    /// <summary>Completes when no commit is open. Requires: none begins any more.</summary>
    public Task WhenIdle()
    {
        lock (_lock)
        {
            return _open[0] + _open[1] == 0
                ? Task.CompletedTask
                : (_idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>Begins a new epoch, when all commits of the one before have ended.</summary>
    /// <returns>Whether it has begun.</returns>
    public bool TryAdvance()
    {
        lock (_lock)
        {
            if (_open[1 - _current] != 0)
            {
                return false;
            }

            _current = 1 - _current;
            return true;
        }
    }
}
