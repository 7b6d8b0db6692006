using KvStore.PostgreSql.Feed;

namespace KvStore.PostgreSql.Writes;

/// <summary>The writes that wait, and which of them go together in one transaction.</summary>
/// <remarks>
/// <para>A transaction has one write for each key. Of several puts of a key without a condition that wait one after the other, the last one
/// is made; the others count as made before it. Any other write of a key that the transaction has already waits for the next one, and
/// so do all later writes of that key, and of a call that puts many all later entries.</para>
/// <para>While something waits, somebody takes it, and only one at a time: the call of <see cref="Add"/> that says so begins, and
/// <see cref="TryEnd"/> says when to stop.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class WriteBacklog
{
    /// <summary>The most writes of one transaction.</summary>
    public const int WritesMax = 16 * 1024;

    private const long BytesMax = 16 * 1024 * 1024;

    private readonly Lock _lock = new();
    private LinkedList<QueuedWrite> _waiting = new();
    private bool _isTaken;
    private TaskCompletionSource? _ended;
    private Exception? _closed;

    /// <summary>How many writes wait.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count;
            }
        }
    }

    /// <summary>Adds a write behind all others.</summary>
    /// <returns>Whether nobody takes what waits, so that the caller has to begin.</returns>
    public bool Add(QueuedWrite write, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_closed is not null)
            {
                write.Fail(_closed);
                return false;
            }

            var node = _waiting.AddLast(write);
            if (cancellationToken.CanBeCanceled)
            {
                var registration = cancellationToken.UnsafeRegister(_ => Withdraw(node, cancellationToken), state: null);
                _ = write.Done.ContinueWith(
                    static (_, registration) => ((CancellationTokenRegistration)registration!).Unregister(),
                    registration, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }

            var begins = !_isTaken;
            _isTaken = true;
            return begins;
        }
    }

    /// <summary>Stops taking, unless something waits.</summary>
    /// <returns>Whether the caller has to stop.</returns>
    public bool TryEnd()
    {
        lock (_lock)
        {
            if (_waiting.Count > 0)
            {
                return false;
            }

            _isTaken = false;
            _ended?.TrySetResult();
            return true;
        }
    }

    /// <summary>Completes when nothing waits any more and nobody takes. Requires: hardly anything is added meanwhile.</summary>
    public Task WhenEnded()
    {
        lock (_lock)
        {
            return !_isTaken
                ? Task.CompletedTask
                : (_ended ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>Takes the writes of the next transaction, in their order; or a barrier alone.</summary>
    public List<QueuedWrite> Take()
    {
        var taken = new List<QueuedWrite>();
        lock (_lock)
        {
            var places = new Dictionary<ReadOnlyMemory<byte>, int>(ByteKeys.Comparer);
            var blocked = new HashSet<ReadOnlyMemory<byte>>(ByteKeys.Comparer);
            var blockedGroups = new HashSet<KvEngineGroup>();
            var bytes = 0L;
            for (var node = _waiting.First; node is not null && taken.Count < WritesMax && bytes < BytesMax;)
            {
                var (next, write) = (node.Next, node.Value);
                if (write.IsBarrier)
                {
                    if (node.Previous is null && taken.Count == 0)
                    {
                        _waiting.Remove(node);
                        taken.Add(write);
                    }

                    break;
                }

                if (write.Write.Group?.Failure is { } failure)
                {
                    _waiting.Remove(node);
                    write.Fail(failure);
                }
                else if (blocked.Contains(write.Key) || (write.Write.Group is { } group && blockedGroups.Contains(group)))
                {
                    Block(write);
                }
                else if (!places.TryGetValue(write.Key, out var place))
                {
                    _waiting.Remove(node);
                    places.Add(write.Key, taken.Count);
                    taken.Add(write);
                    bytes += write.Bytes;
                }
                else if (write.IsPlainPut && taken[place].IsPlainPut)
                {
                    _waiting.Remove(node);
                    write.Superseded = taken[place];
                    taken[place] = write;
                    bytes += write.Bytes;
                }
                else
                {
                    Block(write);
                }

                node = next;
            }

            // What comes after it waits too: of its key, and of its call.
            void Block(QueuedWrite write)
            {
                blocked.Add(write.Key);
                if (write.Write.Group is { } group)
                {
                    blockedGroups.Add(group);
                }
            }
        }

        return taken;
    }

    /// <summary>Fails what waits, and everything that comes.</summary>
    public void Close(Exception exception)
    {
        LinkedList<QueuedWrite> waiting;
        lock (_lock)
        {
            _closed = exception;
            waiting = _waiting;
            _waiting = new LinkedList<QueuedWrite>();
        }

        foreach (var write in waiting)
        {
            write.Fail(exception);
        }
    }

    // Only what nobody has taken yet.
    private void Withdraw(LinkedListNode<QueuedWrite> node, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (node.List != _waiting)
            {
                return;
            }

            _waiting.Remove(node);
        }

        node.Value.Cancel(cancellationToken);
    }
}
