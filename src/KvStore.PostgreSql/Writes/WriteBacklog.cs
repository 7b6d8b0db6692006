using System.Diagnostics;
using KvStore.PostgreSql.Feed;

namespace KvStore.PostgreSql.Writes;

/// <summary>The writes that wait, which of them go together in one transaction, and which lane takes them.</summary>
/// <remarks>
/// <para>A transaction has one write for each key. Of several puts of a key without a condition that wait one after the other, the last one
/// is made; the others count as made before it. Any other write of a key that the transaction has already waits for the next one, and
/// so do all later writes of that key, and of a call that puts many all later entries.</para>
/// <para>A lane has one transaction at a time. What another lane has in flight makes a write wait in the same way: a write of the same key,
/// because the order of the writes of a key would be lost and the two transactions could block each other; and an entry of the same call,
/// because the entries of a call get revisions in their order, and after one has failed those behind it are not made. A barrier waits
/// until nothing is in flight, and nothing that is queued behind it goes before it.</para>
/// <para>Few writes are cheaper in one transaction than in two. So a lane takes them only when no other lane is busy: a busy lane looks again
/// when its transaction has ended. Nothing waits for a lane that has to open its connection first, or that takes long.</para>
/// <para>While something waits, a lane is busy. <see cref="Add"/> and <see cref="BeginAnother"/> return a lane that the caller has to begin.
/// It is idle again when <see cref="Take"/> returns nothing, or <see cref="Release"/> or <see cref="GiveUp"/> says so.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class WriteBacklog
{
    /// <summary>The most writes of one transaction.</summary>
    public const int WritesMax = 16 * 1024;

    /// <summary>How many transactions are in flight at most.</summary>
    public const int Lanes = 2;

    /// <summary>So many writes are worth a transaction beside another one.</summary>
    public const int WorthwhileFrom = 8;

    /// <summary>So many writes, waiting and in flight, are shared out evenly among the lanes.</summary>
    public const int SharedFrom = 64;

    /// <summary>A transaction of so many writes takes long.</summary>
    public const int LongFrom = 4096;

    private const long BytesMax = 16 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly LaneWork[] _lanes = [.. Enumerable.Range(0, Lanes).Select(static number => new LaneWork(number))];
    private LinkedList<QueuedWrite> _waiting = new();
    private TaskCompletionSource? _ended;
    private Exception? _closed;

    // How many of those that wait could be taken now, at most: those that a lane has passed over cannot until another lane releases something.
    private int _ready;

    // The barriers that wait.
    private int _barriers;

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

    /// <summary>How many writes wait that could be taken now, at most.</summary>
    public int Ready
    {
        get
        {
            lock (_lock)
            {
                return Math.Min(_ready, _waiting.Count);
            }
        }
    }

    /// <summary>Adds a write behind all others.</summary>
    /// <returns>The lane that the caller has to begin; null for none.</returns>
    public int? Add(QueuedWrite write, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_closed is not null)
            {
                write.Fail(_closed);
                return null;
            }

            var node = _waiting.AddLast(write);
            if (write.IsBarrier)
            {
                _barriers++;
            }
            else if (_barriers == 0 && !IsInFlight(write))
            {
                _ready++;
            }

            if (cancellationToken.CanBeCanceled)
            {
                // It may be withdrawn in this call.
                var registration = cancellationToken.UnsafeRegister(_ => Withdraw(node, cancellationToken), state: null);
                _ = write.Done.ContinueWith(
                    static (_, registration) => ((CancellationTokenRegistration)registration!).Unregister(),
                    registration, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }

            return BeginHoldingLock();
        }
    }

    /// <summary>Begins a lane when enough waits for it.</summary>
    /// <returns>The lane that the caller has to begin; null for none.</returns>
    public int? BeginAnother()
    {
        lock (_lock)
        {
            return BeginHoldingLock();
        }
    }

    /// <summary>A lane other than the first has its connection.</summary>
    public void Opened(int lane)
    {
        lock (_lock)
        {
            Debug.Assert(_lanes[lane].State == LaneWork.States.Opening, "It was begun.");
            _lanes[lane].State = LaneWork.States.Busy;
        }
    }

    /// <summary>A lane other than the first has no connection, and is idle.</summary>
    public void GiveUp(int lane)
    {
        lock (_lock)
        {
            Debug.Assert(_lanes[lane].State == LaneWork.States.Opening, "It has taken nothing.");
            StopHoldingLock(_lanes[lane]);
        }
    }

    /// <summary>The transaction of a lane takes longer than others should wait.</summary>
    public void NoteDelay(int lane)
    {
        lock (_lock)
        {
            _lanes[lane].IsLong = true;
        }
    }

    /// <summary>Takes the writes of the next transaction of a lane, in their order; or a barrier alone.</summary>
    /// <returns>Nothing when the lane is idle.</returns>
    public List<QueuedWrite> Take(int lane)
    {
        lock (_lock)
        {
            var mine = _lanes[lane];
            Debug.Assert(mine.State == LaneWork.States.Busy && !mine.HasTaken, "A lane has one transaction at a time.");
            var (chosen, ready) = ChooseHoldingLock(mine);
            if (!IsWorthwhile(chosen.Count, mine))
            {
                mine.Clear();
                _ready = ready + chosen.Count;
                StopHoldingLock(mine);
                return [];
            }

            _ready = ready;
            var places = new List<QueuedWrite?>(chosen.Count);
            foreach (var (node, place, earlier) in chosen)
            {
                var write = node.Value;
                _waiting.Remove(node);
                if (earlier is { } left)
                {
                    write.Superseded = places[left];
                    places[left] = null;
                }

                if (place == places.Count)
                {
                    places.Add(write);
                }
                else
                {
                    places[place] = write;
                }
            }

            var taken = places.OfType<QueuedWrite>().ToList();
            _barriers -= mine.HasBarrier ? 1 : 0;
            mine.IsLong = taken.Count >= LongFrom;
            Debug.Assert(!Array.Exists(_lanes, other => other != mine && taken.Exists(other.Has)), "The keys and the calls of the lanes are disjoint.");
            return taken;
        }
    }

    /// <summary>The transaction of a lane has ended.</summary>
    /// <returns>Whether the lane goes on; otherwise it is idle.</returns>
    public bool Release(int lane)
    {
        lock (_lock)
        {
            var mine = _lanes[lane];
            Debug.Assert(mine.HasTaken, "It had a transaction.");
            mine.Clear();
            _ready = _waiting.Count;
            if (IsWorthwhile(_waiting.Count, mine))
            {
                return true;
            }

            StopHoldingLock(mine);
            return false;
        }
    }

    /// <summary>Completes when nothing waits any more and no lane does anything. Requires: hardly anything is added meanwhile.</summary>
    public Task WhenEnded()
    {
        lock (_lock)
        {
            return HasEnded()
                ? Task.CompletedTask
                : (_ended ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
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
            _barriers = 0;
        }

        foreach (var write in waiting)
        {
            write.Fail(exception);
        }
    }

    // The nodes of the writes of a transaction of the lane, each with its place, and the place of the earlier put of its key for which it is
    // made; and how many of the others could be taken. The lane has the keys when this returns.
    private (List<(LinkedListNode<QueuedWrite> Node, int Place, int? Earlier)> Chosen, int Ready) ChooseHoldingLock(LaneWork mine)
    {
        var chosen = new List<(LinkedListNode<QueuedWrite> Node, int Place, int? Earlier)>();
        if (Array.Exists(_lanes, static lane => lane.HasBarrier))
        {
            return (chosen, 0);
        }

        var share = ShareOf(mine);
        var heads = new List<QueuedWrite>();
        var blocked = new HashSet<ReadOnlyMemory<byte>>(ByteKeys.Comparer);
        var blockedGroups = new HashSet<KvEngineGroup>();
        var (bytes, left) = (0L, _waiting.Count);
        for (var node = _waiting.First; node is not null && heads.Count < WritesMax && bytes < BytesMax; left--)
        {
            var (current, write) = (node, node.Value);
            node = node.Next;
            if (write.IsBarrier)
            {
                if (current.Previous is null && !Array.Exists(_lanes, static lane => lane.HasTaken))
                {
                    chosen.Add((current, 0, null));
                    mine.HasBarrier = true;
                }

                return (chosen, 0);
            }

            var group = write.Write.Group;
            if (group?.Failure is { } failure)
            {
                _waiting.Remove(current);
                write.Fail(failure);
                continue;
            }

            if (heads.Count >= share && group is null)
            {
                break;
            }

            if (blocked.Contains(write.Key) || (group is not null && blockedGroups.Contains(group)) || IsInFlight(write, exceptIn: mine))
            {
                Block(write);
                continue;
            }

            int? earlier = mine.Places.TryGetValue(write.Key, out var place) ? place : null;
            if (earlier is not null && (!write.IsPlainPut || !heads[place].IsPlainPut))
            {
                Block(write);
                continue;
            }

            if (earlier is null || group is not null)
            {
                // An entry of a call stays behind those before it, also where an earlier put of its key does not.
                place = heads.Count;
                mine.SetPlace(write, place);
                heads.Add(write);
            }

            chosen.Add((current, place, earlier));
            bytes += write.Bytes;
            if (group is not null)
            {
                mine.AddGroup(group);
            }
        }

        return (chosen, left);

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

    // How many writes the lane takes at most while there is enough for each lane that could take the others. Entries of a call are not
    // left: no other lane could take them.
    private int ShareOf(LaneWork mine)
    {
        var total = _waiting.Count;
        var sharing = 1;
        foreach (var lane in _lanes)
        {
            if (lane != mine && lane.State != LaneWork.States.Opening && !lane.IsLong)
            {
                total += lane.Places.Count;
                sharing++;
            }
        }

        return total < SharedFrom ? int.MaxValue : (total + sharing - 1) / sharing;
    }

    private int? BeginHoldingLock()
    {
        if (_waiting.Count == 0)
        {
            return null;
        }

        var ready = Array.Exists(_lanes, static lane => lane.State == LaneWork.States.Busy) ? Math.Min(_ready, _waiting.Count) : _waiting.Count;
        foreach (var lane in _lanes)
        {
            if (lane.State == LaneWork.States.Idle && IsWorthwhile(ready, lane))
            {
                // The first lane opens its connection when it has taken something, which fails when the database is away for too long.
                lane.State = lane.Number == 0 ? LaneWork.States.Busy : LaneWork.States.Opening;
                return lane.Number;
            }
        }

        Debug.Assert(Array.Exists(_lanes, static lane => lane.State == LaneWork.States.Busy), "While something waits, a lane is busy.");
        return null;
    }

    private void StopHoldingLock(LaneWork lane)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread && !lane.HasTaken, "A lane stops between two transactions.");
        lane.State = LaneWork.States.Idle;
        Debug.Assert(
            _waiting.Count == 0 || Array.Exists(_lanes, static lane => lane.State == LaneWork.States.Busy), "While something waits, a lane is busy.");
        if (HasEnded())
        {
            _ended?.TrySetResult();
            _ended = null;
        }
    }

    private bool HasEnded() => _waiting.Count == 0 && Array.TrueForAll(_lanes, static lane => lane.State == LaneWork.States.Idle);

    // Whether so many writes are worth a transaction of the lane, or should wait for another lane, which looks again soon.
    private bool IsWorthwhile(int writes, LaneWork mine)
    {
        if (writes is 0 or >= WorthwhileFrom)
        {
            return writes > 0;
        }

        foreach (var lane in _lanes)
        {
            if (lane != mine && lane.State == LaneWork.States.Busy && !lane.IsLong)
            {
                return false;
            }
        }

        return true;
    }

    private bool IsInFlight(QueuedWrite write, LaneWork? exceptIn = null)
    {
        foreach (var lane in _lanes)
        {
            if (lane != exceptIn && (lane.HasBarrier || lane.Has(write)))
            {
                return true;
            }
        }

        return false;
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
            _barriers -= node.Value.IsBarrier ? 1 : 0;
            _ready = _waiting.Count;
        }

        node.Value.Cancel(cancellationToken);
    }
}
