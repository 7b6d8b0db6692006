using System.Diagnostics;
using KvStore.Diagnostics;

namespace KvStore.Writes;

/// <summary>
/// Knows up to which revision every appended mutation has been settled: made visible, or given up.
/// </summary>
/// <remarks>
/// Mutations in flight stand in a ring in the order of their revisions. Each is settled by its place, in any order; the ring's
/// head moves on when the oldest has settled. Settling allocates nothing, because it could not be repeated after a failure.
/// Thread safety: all members, from any thread; but <see cref="Reserve"/> and <see cref="Begin"/> are called one after the other
/// under one lock, in the order of the revisions.
/// </remarks>
internal sealed class SettledRevisions
{
    private readonly Lock _lock = new();
    private readonly List<(long Revision, TaskCompletionSource Settled)> _waiting = [];

    // The revision of each mutation in flight, or its complement once it has settled.
    private long[] _ring = new long[64];
    private long _head;
    private long _tail;
    private long _lastBegun;

    /// <summary>Whether no mutation is in flight.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_lock)
            {
                return _head == _tail;
            }
        }
    }

    /// <summary>Takes the memory that the next <see cref="Begin"/> needs, and returns how many mutations are in flight.</summary>
    public long Reserve()
    {
        lock (_lock)
        {
            if (_tail - _head == _ring.Length)
            {
                GrowHoldingLock();
            }

            return _tail - _head;
        }
    }

    /// <summary>Adds a mutation in flight. Requires: <see cref="Reserve"/> was called since the last one. Allocates nothing.</summary>
    /// <returns>Its place, for <see cref="Settle"/>.</returns>
    public long Begin(long revision)
    {
        lock (_lock)
        {
            Debug.Assert(_tail - _head < _ring.Length, "Reserve comes before Begin.");
            Debug.Assert(revision > _lastBegun, "Revisions grow, and the complement of one is negative.");
            _lastBegun = revision;
            _ring[_tail & (_ring.Length - 1)] = revision;
            return _tail++;
        }
    }

    /// <summary>A mutation is visible, or will never be. Allocates nothing.</summary>
    public void Settle(long place)
    {
        lock (_lock)
        {
            Debug.Assert(place >= _head && place < _tail, "The place of a mutation in flight.");
            ref var revision = ref _ring[place & (_ring.Length - 1)];
            Debug.Assert(revision > 0, "A mutation settles once.");
            revision = ~revision;
            while (_head < _tail && _ring[_head & (_ring.Length - 1)] < 0)
            {
                _head++;
            }

            for (var i = _waiting.Count - 1; i >= 0; i--)
            {
                if (OldestHoldingLock > _waiting[i].Revision)
                {
                    var settled = _waiting[i].Settled;
                    _waiting.RemoveAt(i);
                    try
                    {
                        settled.SetResult();
                    }
                    catch (OutOfMemoryException)
                    {
                        // The task has completed. Its continuations could not be handed to the thread pool.
                    }
                }
            }
        }
    }

    /// <summary>The oldest mutation in flight; <see cref="long.MaxValue"/> when there is none.</summary>
    public long Oldest()
    {
        lock (_lock)
        {
            return OldestHoldingLock;
        }
    }

    /// <summary>Completes when every mutation up to a revision that has been added has settled.</summary>
    public Task WhenSettledAsync(long throughRevision)
    {
        lock (_lock)
        {
            if (OldestHoldingLock > throughRevision)
            {
                return Task.CompletedTask;
            }

            // Not on the thread that settles, which is often the one that writes the log.
            AllocationProbe.Before();
            var settled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((throughRevision, settled));
            return settled.Task;
        }
    }

    private long OldestHoldingLock
    {
        get
        {
            Debug.Assert(_lock.IsHeldByCurrentThread);
            return _head == _tail ? long.MaxValue : _ring[_head & (_ring.Length - 1)];
        }
    }

    private void GrowHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        AllocationProbe.Before();
        var larger = new long[_ring.Length * 2];
        for (var place = _head; place < _tail; place++)
        {
            larger[place & (larger.Length - 1)] = _ring[place & (_ring.Length - 1)];
        }

        _ring = larger;
    }
}
