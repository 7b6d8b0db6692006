using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Persistence.Log;

namespace KvStore.Writes;

/// <summary>
/// Knows of which keys mutations are in flight, and lets conditional writes of such keys wait: a condition is not checked against a
/// mutation whose outcome is not known.
/// </summary>
/// <remarks>
/// <para>A key whose mutations are in flight when a conditional write arrives gets a queue. All later writes of the key wait in it as
/// well, so that an endless series of puts cannot keep the conditional write waiting. The queue is first in, first out: a conditional
/// write may go when it is the first and no mutation of its key is in flight; any other write when it is the first. What was in
/// flight settles with the next flush, so every write gets its turn.</para>
/// <para>While a write is the first of a queue, no other write of its key is decided.</para>
/// <para>Keys are distinguished by their hashes: two keys with equal hashes share a queue, which does no harm.</para>
/// <para>Thread safety: <see cref="End"/> and <see cref="Leave"/> from any thread; every other member only while holding the lock of
/// <see cref="CallOrder"/>, under which mutations are decided.</para>
/// </remarks>
internal sealed class KeyQueues(Lock callLock)
{
    private const int ChainsMin = 16;

    // Guards everything below. Mutations end their flight without the lock of the calls.
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, Queue> _queues = [];
    private int _queueCount;

    // The mutations in flight in chains by their hashes. There are at least as many chains as mutations.
    private MutationInFlight?[] _chains = [];
    private int _inFlightCount;

    /// <summary>Takes the memory for the next <see cref="Begin"/>.</summary>
    public void Reserve()
    {
        Debug.Assert(callLock.IsHeldByCurrentThread);
        if (Volatile.Read(ref _inFlightCount) < _chains.Length)
        {
            // Nobody else begins a flight, and the count only sinks meanwhile.
            return;
        }

        AllocationProbe.Before();
        var chains = new MutationInFlight?[Math.Max(ChainsMin, _chains.Length * 2)];
        lock (_lock)
        {
            foreach (var first in _chains)
            {
                for (var pending = first; pending is not null;)
                {
                    var next = pending.NextOfChain;
                    Link(chains, pending);
                    pending = next;
                }
            }

            _chains = chains;
        }
    }

    /// <summary>A mutation is in flight. Requires: <see cref="Reserve"/> was called. Allocates nothing.</summary>
    public void Begin(MutationInFlight pending)
    {
        Debug.Assert(callLock.IsHeldByCurrentThread);
        lock (_lock)
        {
            Debug.Assert(_inFlightCount < _chains.Length, "Reserve comes before Begin.");
            Link(_chains, pending);
            Volatile.Write(ref _inFlightCount, _inFlightCount + 1);
        }
    }

    /// <summary>A mutation is visible, or will never be. Allocates nothing.</summary>
    public void End(MutationInFlight pending)
    {
        lock (_lock)
        {
            ref var link = ref _chains[ChainOf(_chains, pending.Hash)];
            if (link == pending)
            {
                link = pending.NextOfChain;
            }
            else
            {
                var before = link!;
                while (before.NextOfChain != pending)
                {
                    before = before.NextOfChain!;
                }

                before.NextOfChain = pending.NextOfChain;
            }

            pending.NextOfChain = null;
            Volatile.Write(ref _inFlightCount, _inFlightCount - 1);
            if (_queueCount > 0 && _queues.TryGetValue(pending.Hash, out var queue))
            {
                CallFirstHoldingLock(queue);
            }
        }
    }

    /// <summary>Whether a mutation of a key is in flight.</summary>
    public bool IsInFlight(ulong hash)
    {
        Debug.Assert(callLock.IsHeldByCurrentThread);
        lock (_lock)
        {
            return IsInFlightHoldingLock(hash);
        }
    }

    /// <summary>Whether a write that arrives now has to wait in the queue of its key.</summary>
    /// <param name="hash">The hash of the key.</param>
    /// <param name="isConditional">Whether the outcome of the write depends on the entry that the key has.</param>
    public bool MustWait(ulong hash, bool isConditional)
    {
        Debug.Assert(callLock.IsHeldByCurrentThread);
        if (!isConditional && Volatile.Read(ref _queueCount) == 0)
        {
            // Queues are only added under the lock of the calls.
            return false;
        }

        lock (_lock)
        {
            return _queues.ContainsKey(hash) || (isConditional && IsInFlightHoldingLock(hash));
        }
    }

    /// <summary>Adds a write to the queue of its key. Call <see cref="Leave"/> when it is decided, or when it no longer waits.</summary>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    public QueuedWrite Enter(ulong hash, bool isConditional)
    {
        Debug.Assert(callLock.IsHeldByCurrentThread);
        lock (_lock)
        {
            AllocationProbe.Before();
            var write = new QueuedWrite(hash, isConditional);
            if (!_queues.TryGetValue(hash, out var queue))
            {
                AllocationProbe.Before();
                queue = new Queue();
                _queues.Add(hash, queue);
                Volatile.Write(ref _queueCount, _queueCount + 1);
            }

            queue.Add(write);
            CallFirstHoldingLock(queue);
            return write;
        }
    }

    /// <summary>Takes a write out of its queue, and lets the next one go. Allocates nothing.</summary>
    public void Leave(QueuedWrite write)
    {
        lock (_lock)
        {
            var queue = _queues[write.Hash];
            queue.Remove(write);
            if (queue.First is null)
            {
                _queues.Remove(write.Hash);
                Volatile.Write(ref _queueCount, _queueCount - 1);
            }
            else
            {
                CallFirstHoldingLock(queue);
            }
        }
    }

    private static int ChainOf(MutationInFlight?[] chains, ulong hash)
    {
        Debug.Assert(int.IsPow2(chains.Length));
        return (int)hash & (chains.Length - 1);
    }

    private static void Link(MutationInFlight?[] chains, MutationInFlight pending)
    {
        ref var first = ref chains[ChainOf(chains, pending.Hash)];
        pending.NextOfChain = first;
        first = pending;
    }

    private bool IsInFlightHoldingLock(ulong hash)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var pending = _inFlightCount == 0 ? null : _chains[ChainOf(_chains, hash)];
        while (pending is not null && pending.Hash != hash)
        {
            pending = pending.NextOfChain;
        }

        return pending is not null;
    }

    private void CallFirstHoldingLock(Queue queue)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var first = queue.First!;
        if (!first.IsConditional || !IsInFlightHoldingLock(first.Hash))
        {
            first.Set();
        }
    }

    /// <summary>The writes of one key that wait.</summary>
    private sealed class Queue
    {
        private QueuedWrite? _last;

        public QueuedWrite? First { get; private set; }

        public void Add(QueuedWrite write)
        {
            write.Before = _last;
            if (_last is null)
            {
                First = write;
            }
            else
            {
                _last.After = write;
            }

            _last = write;
        }

        public void Remove(QueuedWrite write)
        {
            if (write.Before is { } before)
            {
                before.After = write.After;
            }
            else
            {
                First = write.After;
            }

            if (write.After is { } after)
            {
                after.Before = write.Before;
            }
            else
            {
                _last = write.Before;
            }
        }
    }
}

/// <summary>
/// A write that waits in a queue of <see cref="KeyQueues"/>, and is set when it may be decided. It goes on on a flush thread: callers that
/// block may hold every thread of the thread pool while they wait for it.
/// </summary>
internal sealed class QueuedWrite(ulong hash, bool isConditional) : FlushSignal
{
    public ulong Hash => hash;

    /// <summary>Whether it depends on the entry that the key has.</summary>
    public bool IsConditional => isConditional;

    /// <summary>The write before it in the queue; belongs to the queue.</summary>
    public QueuedWrite? Before { get; set; }

    /// <summary>The write behind it in the queue; belongs to the queue.</summary>
    public QueuedWrite? After { get; set; }
}

/// <summary>A mutation in flight, as <see cref="KeyQueues"/> knows it.</summary>
internal abstract class MutationInFlight
{
    /// <summary>The hash of the key.</summary>
    public ulong Hash { get; set; }

    /// <summary>The next mutation in its chain; belongs to the queues.</summary>
    public MutationInFlight? NextOfChain { get; set; }
}
