using KvStore.Persistence.Log;

namespace KvStore.Updates;

/// <summary>
/// The order in which updates of one key try again: without it, an update whose function takes long would be overtaken by quick ones for
/// ever.
/// </summary>
/// <remarks>
/// <para>An update tries at once when nobody waits, and queues up when another write came between, or when others wait already. The order
/// is advice: conditions alone keep updates right. So nobody waits longer than <see cref="s_longest"/> for a turn, and functions
/// that update other keys cannot block each other for ever. Keys share queues by hash.</para>
/// <para>An update that gets its turn goes on on a flush thread: callers that block may hold every thread of the thread pool while they
/// wait for it.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class UpdateTurns
{
    private const int Queues = 256;

    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1);
    private static readonly UpdateTurns[] s_queues = [.. Enumerable.Range(0, Queues).Select(_ => new UpdateTurns())];

    private readonly Lock _lock = new();
    private readonly LinkedList<FlushSignal> _waiting = [];
    private bool _isTaken;

    /// <summary>The queue of a key.</summary>
    public static UpdateTurns Of(string key) => s_queues[(uint)key.GetHashCode(StringComparison.Ordinal) % Queues];

    /// <summary>Whether somebody has the turn, so that others queue up.</summary>
    public bool IsTaken => Volatile.Read(ref _isTaken);

    /// <summary>Waits for the turn, which the caller releases if it got it.</summary>
    /// <returns>Whether it got it.</returns>
    public async ValueTask<bool> TakeAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var signal = new FlushSignal();
        var place = new LinkedListNode<FlushSignal>(signal);
        lock (_lock)
        {
            if (!_isTaken)
            {
                _isTaken = true;
                return true;
            }

            _waiting.AddLast(place);
        }

        try
        {
            await signal.WhenSet.WaitAsync(s_longest, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return !TryGiveUp(place);
        }
        catch (OperationCanceledException)
        {
            if (!TryGiveUp(place))
            {
                Release();
            }

            throw;
        }
    }

    /// <summary>Hands the turn to the one that has waited longest.</summary>
    public void Release()
    {
        FlushSignal? next;
        lock (_lock)
        {
            next = _waiting.First?.Value;
            if (next is null)
            {
                _isTaken = false;
            }
            else
            {
                _waiting.RemoveFirst();
            }
        }

        next?.Set();
    }

    // False when it has got the turn meanwhile.
    private bool TryGiveUp(LinkedListNode<FlushSignal> place)
    {
        lock (_lock)
        {
            if (place.List is null)
            {
                return false;
            }

            _waiting.Remove(place);
            return true;
        }
    }
}
