using System.Diagnostics;

namespace KvStore.Rules;

/// <summary>
/// Closes a namespace once, when nobody needs it any more. The configuration and a container may both hold it; while it is held,
/// disposing it flushes, and the last release closes it.
/// </summary>
/// <param name="closeAsync">Closes the namespace; called once.</param>
/// <param name="flushAsync">Flushes what is not on the disk yet.</param>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class NamespaceOwners(Func<Task> closeAsync, Func<ValueTask> flushAsync)
{
    private readonly Lock _lock = new();
    private Task? _closing;
    private int _holdCount;
    private bool _closesWhenReleased;

    /// <summary>Closes the namespace, at once or with the last release.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_holdCount > 0)
            {
                _closesWhenReleased = true;
                return flushAsync();
            }

            return new(_closing ??= closeAsync());
        }
    }

    /// <summary>Keeps the namespace open for one of several owners.</summary>
    /// <param name="closesWhenReleased">Whether the last release closes it although nobody has disposed it.</param>
    /// <returns>False when the namespace has been closed; it is not held then.</returns>
    public bool TryHold(bool closesWhenReleased = false)
    {
        lock (_lock)
        {
            if (_closing is not null)
            {
                return false;
            }

            _holdCount++;
            _closesWhenReleased |= closesWhenReleased;
            return true;
        }
    }

    /// <summary>Ends a hold. Call it once for each.</summary>
    public ValueTask ReleaseAsync()
    {
        lock (_lock)
        {
            Debug.Assert(_holdCount > 0, "A hold is released once.");
            return --_holdCount == 0 && _closesWhenReleased ? new(_closing ??= closeAsync()) : default;
        }
    }
}
