namespace KvStore.Commit;

/// <summary>
/// Knows up to which revision every mutation has been settled: made visible, or given up.
/// </summary>
/// <remarks>
/// Those on their way stand in a ring in the order of their revisions. Each is told to settle by its place, in whatever order;
/// the ring's head moves on when the oldest has settled. Thread safety: all members, from any thread; but
/// <see cref="Begin"/> is called in the order of the revisions.
/// </remarks>
internal sealed class SettledRevisions
{
    private readonly Lock _gate = new();
    private readonly List<(long Revision, TaskCompletionSource Settled)> _waiting = [];

    // The revision of each mutation on its way, or its complement once it has settled.
    private long[] _ring = new long[64];
    private long _head;
    private long _tail;

    /// <summary>Whether no mutation is on its way.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_gate)
            {
                return _head == _tail;
            }
        }
    }

    /// <summary>A mutation sets out.</summary>
    /// <returns>Its place, for <see cref="Settle"/>.</returns>
    public long Begin(long revision)
    {
        lock (_gate)
        {
            if (_tail - _head == _ring.Length)
            {
                Grow();
            }

            _ring[_tail & (_ring.Length - 1)] = revision;
            return _tail++;
        }
    }

    /// <summary>A mutation is visible, or will never be.</summary>
    public void Settle(long place)
    {
        lock (_gate)
        {
            _ring[place & (_ring.Length - 1)] = ~_ring[place & (_ring.Length - 1)];
            while (_head < _tail && _ring[_head & (_ring.Length - 1)] < 0)
            {
                _head++;
            }

            _waiting.RemoveAll(TryRelease);
        }
    }

    /// <summary>The oldest mutation on its way; <see cref="long.MaxValue"/> when there is none.</summary>
    public long Oldest()
    {
        lock (_gate)
        {
            return OldestHoldingGate;
        }
    }

    /// <summary>Completes when every mutation up to a revision that has set out has settled.</summary>
    public Task WhenSettledAsync(long throughRevision)
    {
        lock (_gate)
        {
            if (OldestHoldingGate > throughRevision)
            {
                return Task.CompletedTask;
            }

            // Not on the thread that settles, which is often the one that writes the log.
            var settled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((throughRevision, settled));
            return settled.Task;
        }
    }

    private long OldestHoldingGate => _head == _tail ? long.MaxValue : _ring[_head & (_ring.Length - 1)];

    private bool TryRelease((long Revision, TaskCompletionSource Settled) waiter)
    {
        if (OldestHoldingGate <= waiter.Revision)
        {
            return false;
        }

        waiter.Settled.SetResult();
        return true;
    }

    private void Grow()
    {
        var larger = new long[_ring.Length * 2];
        for (var place = _head; place < _tail; place++)
        {
            larger[place & (larger.Length - 1)] = _ring[place & (_ring.Length - 1)];
        }

        _ring = larger;
    }
}
