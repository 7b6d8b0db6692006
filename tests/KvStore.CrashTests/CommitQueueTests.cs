using System.Buffers.Binary;
using System.Diagnostics;
using KvStore.Persistence.Log;

namespace KvStore.CrashTests;

/// <summary>
/// Every order in which the steps of callers, workers and the disk can follow each other, on the real queue: each caller is
/// completed exactly once, those who dispose or open again among them.
/// </summary>
/// <remarks>
/// A step is what <see cref="GroupCommit"/> does under its lock, or between two times that it holds it. A worker that was called may come
/// at any later moment, and the code of a caller that it runs may block for good. A write succeeds, fails and can be undone, or
/// fails for good. In the relaxed modes, the log is sure to take a few bytes at one time and none at another, and what was acknowledged is
/// never lost while the log has not failed for good; what failed is never written. The clock stands still while callers are completed, so that a flush is always held back.
/// </remarks>
public sealed class CommitQueueTests
{
    private const int BlockedMax = 1;

    private enum Step
    {
        Append,
        Delete,
        Flush,
        Roll,
        Tick,
        Fail,
        Close,
        Dispose,
        Reopen,
        Rest,
        Group,
    }

    [Theory]
    [InlineData(Durability.Immediate, "Append, Flush, Fail, Close, Dispose, Reopen, Rest, Group")]
    [InlineData(Durability.Interval, "Append, Flush, Tick, Fail, Close, Dispose, Reopen, Rest, Group")]
    public void In_every_order_of_a_put_and_two_events_each_caller_completes_once(Durability durability, string events)
    {
        var runs = 0L;
        var kinds = events.Split(", ").Select(Enum.Parse<Step>).ToArray();
        foreach (var second in kinds)
        {
            foreach (var third in kinds.Where(kind => kind >= second))
            {
                runs += ExploreAll(durability, [Step.Append, second, third]);
            }
        }

        runs.Should().BeGreaterThan(1000);
    }

    [Fact]
    public void In_every_order_of_puts_a_failure_and_the_end_each_caller_completes_once()
    {
        ExploreAll(Durability.Immediate, [Step.Append, Step.Append, Step.Fail, Step.Dispose]).Should().BeGreaterThan(100);
        ExploreAll(Durability.Immediate, [Step.Append, Step.Append, Step.Fail, Step.Reopen]).Should().BeGreaterThan(100);
        ExploreAll(Durability.Immediate, [Step.Group, Step.Append, Step.Append, Step.Group]).Should().BeGreaterThan(100);
        ExploreAll(Durability.Immediate, [Step.Group, Step.Append, Step.Fail, Step.Dispose]).Should().BeGreaterThan(100);
    }

    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Interval)]
    public void In_random_orders_of_many_events_each_caller_completes_once(Durability durability)
    {
        var kinds = Enum.GetValues<Step>();
        for (var seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            var steps = Enumerable.Range(0, 4 + random.Next(12))
                .Select(_ => random.Next(3) > 0 ? Step.Append : kinds[random.Next(kinds.Length)]);
            Run(durability, [.. steps], new Choices(random), $"seed {seed}");
        }
    }

    [Fact]
    public void A_write_beside_a_failure_from_outside_says_that_its_outcome_is_unknown()
    {
        var queue = new CommitQueue(Durability.Immediate, TimeProvider.System);
        var mutation = new KvMutation { Key = "k"u8.ToArray(), Value = new byte[20], Revision = 1 };
        queue.Append(mutation, LogRecord.SizeOf(mutation), out var pending, out _);
        queue.Next(hasJustCome: true, out var batch, out _);
        queue.Fail(new KvPersistenceException("from outside"));
        queue.Settle(batch!, new WriteOutcome { KeptBytes = 0, Error = new IOException("fatal"), IsFatal = true, IsUndone = false });

        pending!.Failure.Should().BeOfType<KvPersistenceException>().Which.Message.Should().Contain("unknown");
        queue.Failure!.Message.Should().Be("from outside");
    }

    // A test that finds nothing proves nothing unless it finds what is known to be wrong: these queues have faults that there were, or
    // that are close by.
    [Fact]
    public void A_queue_that_leaves_waiters_of_a_failure_to_the_writer_is_found_out()
    {
        var explore = () => ExploreAll(
            Durability.Immediate, [Step.Append, Step.Append, Step.Fail], static (durability, time, bytes) => new LeavesWaitersToTheWriter(durability, time, bytes));

        explore.Should().Throw<InvalidOperationException>().WithMessage("*A caller (Append) was completed 0 times*Fail*");
    }

    [Fact]
    public void A_queue_that_forgets_waiters_of_any_failure_is_found_out()
    {
        var explore = () => ExploreAll(
            Durability.Immediate, [Step.Append, Step.Append, Step.Append], static (durability, time, bytes) => new ForgetsWaiters(durability, time, bytes));

        explore.Should().Throw<InvalidOperationException>().WithMessage("*A caller (Append) was completed 0 times*fatal*");
    }

    [Fact]
    public void A_queue_that_acknowledges_what_the_log_may_not_take_is_found_out()
    {
        var explore = () => ExploreAll(
            Durability.Interval, [Step.Append, Step.Append, Step.Flush], static (durability, time, bytes) => new AcknowledgesEverything(durability, time, bytes));

        explore.Should().Throw<InvalidOperationException>().WithMessage("*More was acknowledged than the log is sure to take*");
    }

    [Fact]
    public void In_every_order_of_writes_to_a_full_disk_nothing_acknowledged_is_lost()
    {
        ExploreAll(Durability.Interval, [Step.Append, Step.Append, Step.Append, Step.Tick]).Should().BeGreaterThan(100);
        ExploreAll(Durability.Interval, [Step.Append, Step.Append, Step.Delete, Step.Flush]).Should().BeGreaterThan(100);
        ExploreAll(Durability.Interval, [Step.Append, Step.Delete, Step.Append, Step.Close]).Should().BeGreaterThan(100);
    }

    [Fact]
    public void A_sound_queue_passes_where_those_with_faults_are_found_out()
    {
        ExploreAll(Durability.Immediate, [Step.Append, Step.Append, Step.Fail]).Should().BePositive();
        ExploreAll(Durability.Immediate, [Step.Append, Step.Append, Step.Append]).Should().BePositive();
        ExploreAll(Durability.Interval, [Step.Append, Step.Append, Step.Flush]).Should().BePositive();
    }

    private static long ExploreAll(Durability durability, Step[] steps, Func<Durability, TimeProvider, int, CommitQueue>? newQueue = null)
    {
        var runs = 0L;
        var choices = new Choices(random: null);
        do
        {
            Run(durability, steps, choices, string.Join(", ", steps), newQueue);
            runs++;
        }
        while (choices.Advance());

        return runs;
    }

    private static void Run(
        Durability durability, Step[] steps, Choices choices, string scenario, Func<Durability, TimeProvider, int, CommitQueue>? newQueue = null)
    {
        var model = new Model(durability, steps, choices, newQueue ?? (static (durability, time, bytes) => new CommitQueue(durability, time, bytes)));
        try
        {
            model.Run();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{durability}, {scenario}: {e.Message} After: {string.Join("; ", model.Trace)}.", e);
        }
    }

    /// <summary>A fault that there was: a failure from outside leaves the waiters to the thread that writes, which does not look.</summary>
    private sealed class LeavesWaitersToTheWriter(Durability durability, TimeProvider time, int unwrittenBytesMax)
        : CommitQueue(durability, time, unwrittenBytesMax)
    {
        protected override void FailOpen(KvPersistenceException failure, bool isWriting)
        {
            if (!isWriting)
            {
                base.FailOpen(failure, isWriting);
            }
        }
    }

    /// <summary>A flush that fails completes its own batch, and nobody who came meanwhile.</summary>
    private sealed class ForgetsWaiters(Durability durability, TimeProvider time, int unwrittenBytesMax)
        : CommitQueue(durability, time, unwrittenBytesMax)
    {
        protected override void FailOpen(KvPersistenceException failure, bool isWriting)
        {
            // Nothing.
        }
    }

    /// <summary>A fault that there was: in the relaxed modes a put is acknowledged although the log may have no space for it.</summary>
    private sealed class AcknowledgesEverything(Durability durability, TimeProvider time, int unwrittenBytesMax)
        : CommitQueue(durability, time, unwrittenBytesMax)
    {
        protected override bool MayAcknowledge(long through, bool isDelete) => true;
    }

    /// <summary>Decides at every place where the next step is open: by chance, or so that all ways are gone in the end.</summary>
    private sealed class Choices(Random? random)
    {
        private readonly List<(int Chosen, int Count)> _made = [];
        private readonly HashSet<string> _seen = [];
        private int _position;

        /// <summary>Whether the state was reached before, in another way: everything that follows from it has been seen, or will be.</summary>
        public bool WasSeen(Func<string> state) => random is null && _position == _made.Count && !_seen.Add(state());

        public int Next(int count)
        {
            if (random is not null)
            {
                return random.Next(count);
            }

            if (_position == _made.Count)
            {
                _made.Add((0, count));
            }

            Debug.Assert(_made[_position].Count == count, "The same choices lead to the same state.");
            return _made[_position++].Chosen;
        }

        /// <summary>Goes to the next way.</summary>
        public bool Advance()
        {
            _position = 0;
            while (_made.Count > 0)
            {
                var (chosen, count) = _made[^1];
                _made.RemoveAt(_made.Count - 1);
                if (chosen + 1 < count)
                {
                    _made.Add((chosen + 1, count));
                    return true;
                }
            }

            return false;
        }
    }

    private sealed class Worker
    {
        public bool HasJustCome { get; set; } = true;

        public RecordBatch? Batch { get; set; }

        public PendingAppend? Completion { get; set; }
    }

    private sealed class Caller(string name, PendingAppend pending)
    {
        public string Name => name;

        public PendingAppend Pending => pending;

        public int Completed { get; set; }
    }

    private sealed class Model
    {
        private static readonly byte[] s_key = "k"u8.ToArray();
        private static readonly byte[] s_value = new byte[20];

        // One put, and a delete behind it.
        private static readonly LogRoom s_room = new(60, 100);

        private readonly FakeTimeProvider _clock = new();
        private readonly Durability _durability;
        private readonly CommitQueue _queue;
        private readonly List<Step> _steps;
        private readonly Choices _choices;
        private readonly List<Worker> _workers = [];
        private readonly List<Caller> _callers = [];
        private bool _isCalled;
        private int _blocked;
        private Caller? _reopenWaits;
        private bool _isReopening;
        private bool _isResting;
        private int _groups;

        // The revisions that were acknowledged, those whose callers failed, and those that were written.
        private readonly SortedSet<long> _acknowledged = [];
        private readonly SortedSet<long> _refused = [];
        private readonly SortedSet<long> _written = [];
        private long _revision;
        private bool _hasFailedForGood;
        private LogRoom _roomAtBatch;

        public Model(Durability durability, Step[] steps, Choices choices, Func<Durability, TimeProvider, int, CommitQueue> newQueue)
        {
            _durability = durability;
            // So little that in the relaxed modes the third put waits, or the second.
            _queue = newQueue(durability, _clock, durability == Durability.Immediate ? 60 : 120);
            _queue.Room = durability == Durability.Immediate ? LogRoom.Unlimited : s_room;
            _steps = [.. steps];
            _choices = choices;
        }

        public List<string> Trace { get; } = [];

        public void Run()
        {
            for (var left = 200; left > 0; left--)
            {
                if (_choices.WasSeen(Describe))
                {
                    return;
                }

                var enabled = Enabled().ToArray();
                if (enabled.Length == 0)
                {
                    Check();
                    return;
                }

                var (name, action) = enabled[_choices.Next(enabled.Length)];
                Trace.Add(name);
                action();
            }

            throw new InvalidOperationException("It does not end.");
        }

        /// <summary>Everything that what follows depends on.</summary>
        private string Describe()
        {
            var workers = _workers.Select(worker =>
                worker.Batch is { } batch ? $"writes {batch.Length} {Ids(batch.FirstWaiting)}"
                : worker.Completion is { } completion ? $"completes {Ids(completion)}"
                : $"asks {worker.HasJustCome}");
            return $"{string.Join(',', _steps.Order())}|{string.Join(',', workers.Order(StringComparer.Ordinal))}|{_isCalled} {_blocked} {_isReopening} {_isResting} {_groups} {_reopenWaits?.Completed}|"
                + $"{string.Join(',', _callers.Select(caller => caller.Completed))}|{_roomAtBatch.Puts} {_hasFailedForGood}|"
                + $"{string.Join(',', _acknowledged)}|{string.Join(',', _refused)}|{string.Join(',', _written)}|{_queue.Describe(Ids)}";
        }

        private string Ids(PendingAppend? first)
        {
            var ids = "";
            for (var pending = first; pending is not null; pending = pending.Next)
            {
                ids += $"{_callers.FindIndex(caller => caller.Pending == pending && caller.Completed == 0)} ";
            }

            return ids;
        }

        private void Check()
        {
            foreach (var caller in _callers)
            {
                if (caller.Completed != 1)
                {
                    throw new InvalidOperationException($"A caller ({caller.Name}) was completed {caller.Completed} times.");
                }
            }

            if (_hasFailedForGood)
            {
                return;
            }

            var unwritten = _queue.Unwritten.SelectMany(Revisions).Select(record => record.Revision).ToHashSet();
            foreach (var revision in _acknowledged.Where(revision => !_written.Contains(revision) && !unwritten.Contains(revision)))
            {
                throw new InvalidOperationException($"Revision {revision} was acknowledged and is lost.");
            }

            foreach (var revision in _refused.Where(revision => _written.Contains(revision) || unwritten.Contains(revision)))
            {
                throw new InvalidOperationException($"Revision {revision} was refused and is written.");
            }
        }

        private static IEnumerable<(long Revision, long Through, bool IsDelete)> Revisions(RecordBatch batch)
        {
            var through = 0L;
            foreach (var chunk in batch.Chunks)
            {
                for (var position = 0; position < chunk.Count;)
                {
                    var record = chunk.AsSpan(position);
                    var size = LogRecord.SizeAt(record);
                    position += size;
                    through += size;
                    yield return (
                        BinaryPrimitives.ReadInt64LittleEndian(record[LogFormat.RevisionOffset..]) & LogFormat.RevisionMask,
                        through,
                        LogRecord.KindAt(record) == RecordKind.Delete);
                }
            }
        }

        private IEnumerable<(string Name, Action Action)> Enabled()
        {
            foreach (var step in _steps.Distinct())
            {
                yield return (step.ToString(), () => Begin(step));
            }

            if (_isCalled)
            {
                yield return ("a worker comes", Come);
            }

            for (var i = 0; i < _workers.Count; i++)
            {
                var worker = _workers[i];
                if (worker.Batch is not null)
                {
                    yield return ($"worker {i} has written", () => Settle(worker));
                }
                else if (worker.Completion is not null)
                {
                    yield return ($"worker {i} completes", () => Complete(worker));
                }
                else
                {
                    yield return ($"worker {i} asks", () => Ask(worker));
                }
            }

            if (_isReopening)
            {
                yield return ("reopened", () => EndReopen());
            }

            if (_isResting)
            {
                yield return ("rested", EndRest);
            }

            if (_groups > 0)
            {
                yield return ("a group ends", EndGroup);
            }

            if (_reopenWaits is { Completed: > 0 })
            {
                yield return ("reopen again", BeginReopen);
            }
        }

        private void Come()
        {
            _isCalled = false;
            var worker = new Worker();
            _workers.Add(worker);
            Ask(worker);
        }

        private void Begin(Step step)
        {
            _steps.Remove(step);
            switch (step)
            {
                case Step.Append or Step.Delete when _queue.Refusal() is null:
                    var revision = ++_revision;
                    var mutation = new KvMutation { Key = s_key, Value = step == Step.Append ? s_value : default, Revision = revision, IsDelete = step == Step.Delete };
                    Do(_queue.Append(mutation, LogRecord.SizeOf(mutation), out var pending, out var refusal));
                    Await(pending, step.ToString(), revision);
                    if (pending is null)
                    {
                        (refusal is null ? _acknowledged : _refused).Add(revision);
                    }

                    break;
                case Step.Flush or Step.Roll or Step.Close when _queue.Refusal() is null:
                    Do(_queue.Command(step == Step.Roll, step == Step.Close, out pending));
                    Await(pending, step.ToString());
                    break;
                case Step.Tick:
                    Do(_queue.Tick(hasUnflushed: false));
                    break;
                case Step.Fail:
                    _hasFailedForGood = true;
                    Do(_queue.Fail(new KvPersistenceException("from outside")).Call);
                    break;
                case Step.Dispose:
                    Do(_queue.Dispose(out var idle));
                    Await(idle, "Dispose");
                    break;
                case Step.Reopen:
                    BeginReopen();
                    break;
                case Step.Rest:
                    _isResting |= _queue.TryBeginRest();
                    break;
                case Step.Group:
                    _groups += _queue.TryBeginGroup() ? 1 : 0;
                    break;
            }
        }

        private Caller? Await(PendingAppend? pending, string name, long revision = 0)
        {
            if (pending is null)
            {
                return null;
            }

            var caller = new Caller(name, pending);
            _callers.Add(caller);
            var awaiter = pending.AsResultTask.ConfigureAwait(false).GetAwaiter();
            awaiter.UnsafeOnCompleted(() =>
            {
                caller.Completed++;
                try
                {
                    awaiter.GetResult();
                    _acknowledged.UnionWith(revision > 0 ? [revision] : []);
                }
                catch (KvPersistenceException)
                {
                    _refused.UnionWith(revision > 0 ? [revision] : []);
                }
            });
            return caller;
        }

        private void Ask(Worker worker)
        {
            var room = _queue.Room;
            var isRetry = _queue.Unwritten.Count() > 1;
            Do(_queue.Next(worker.HasJustCome, out var batch, out var completion));
            if (batch is not null)
            {
                // From the first byte that is not written.
                var unwritten = batch.Length - batch.WrittenBytes;
                _roomAtBatch = isRetry ? new LogRoom(room.Puts + unwritten, room.Deletes + unwritten) : room;
            }

            worker.HasJustCome = false;
            worker.Batch = batch;
            worker.Completion = completion;
            if (batch is null && completion is null)
            {
                _workers.Remove(worker);
            }
            else if (batch is not null)
            {
                if (_isReopening || _isResting || _workers.Count(other => other.Batch is not null) > 1)
                {
                    throw new InvalidOperationException("Two write at a time.");
                }
            }
        }

        private void Settle(Worker worker)
        {
            _clock.Advance(TimeSpan.FromTicks(1));
            var batch = worker.Batch!;
            worker.Batch = null;
            var outcome = _durability == Durability.Immediate ? ImmediateOutcome(batch) : RelaxedOutcome(batch);
            Trace.Add($"{outcome.Error?.Message ?? "success"}, room {outcome.Room.Puts}");
            _hasFailedForGood |= outcome.IsFatal;
            foreach (var (revision, through, isDelete) in Revisions(batch))
            {
                if (outcome.Keeps(through, isDelete))
                {
                    _written.Add(revision);
                }
            }

            Do(_queue.Settle(batch, outcome).Call);

            // Closing gives up what was acknowledged and cannot be written, and says so.
            _hasFailedForGood |= _queue.Failure is not null;
        }

        private WriteOutcome ImmediateOutcome(RecordBatch batch) => _choices.Next(3) switch
        {
            0 => new WriteOutcome { KeptBytes = batch.Length },
            1 => new WriteOutcome { KeptBytes = 0, Error = new IOException("passing"), KeptDeleteBytes = long.MaxValue, IsUndone = true },
            _ => new WriteOutcome { KeptBytes = 0, Error = new IOException("fatal"), IsFatal = true },
        };

        // What was acknowledged has its space, so that a lack of space keeps it.
        private WriteOutcome RelaxedOutcome(RecordBatch batch)
        {
            if (batch.AcknowledgedBytes - batch.WrittenBytes > Math.Max(_roomAtBatch.Deletes, 0))
            {
                throw new InvalidOperationException("More was acknowledged than the log is sure to take.");
            }

            // What was promised stays promised; there may be more.
            var left = _roomAtBatch.Less(batch.Length - batch.WrittenBytes);
            return _choices.Next(5) switch
            {
                0 => new WriteOutcome { KeptBytes = batch.Length, Room = new LogRoom(Math.Max(left.Puts, s_room.Puts), Math.Max(left.Deletes, s_room.Deletes)) },
                1 => new WriteOutcome { KeptBytes = batch.Length, Room = left },
                2 => new WriteOutcome
                {
                    KeptBytes = batch.AcknowledgedBytes,
                    Error = new IOException("no space"),
                    KeptDeleteBytes = long.MaxValue,
                    IsUndone = true,
                    Room = _roomAtBatch.Less(batch.AcknowledgedBytes - batch.WrittenBytes),
                },
                3 => new WriteOutcome { KeptBytes = batch.WrittenBytes, Error = new IOException("passing"), IsUndone = true, Room = _roomAtBatch },
                _ => new WriteOutcome { KeptBytes = 0, Error = new IOException("fatal"), IsFatal = true },
            };
        }

        private void Complete(Worker worker)
        {
            worker.Completion!.Complete();
            worker.Completion = null;
            if (_blocked < BlockedMax && _choices.Next(2) == 1)
            {
                Trace.Add("blocks");
                _blocked++;
                _workers.Remove(worker);
            }
        }

        private void BeginReopen()
        {
            _isReopening |= _queue.TryBeginReopen(out var busy);
            _reopenWaits = Await(busy, "Reopen");
        }

        private void EndReopen()
        {
            _isReopening = false;
            Do(_queue.EndReopen(isWritable: _choices.Next(2) == 0, _durability == Durability.Immediate ? LogRoom.Unlimited : s_room));
        }

        private void EndRest()
        {
            _isResting = false;

            // What is not flushed is flushed then, and that may fail.
            var isFailed = _choices.Next(2) == 1;
            Do(_queue.EndRest());
            if (isFailed)
            {
                _hasFailedForGood = true;
                Do(_queue.Fail(new KvPersistenceException("a flush at rest")).Call);
            }
        }

        private void EndGroup()
        {
            _groups--;
            Do(_queue.EndGroup());
        }

        // Calls are not counted: one that has not been answered stands for all of them, as in FlushThreads.
        private void Do(CommitQueue.Call call) => _isCalled |= call != CommitQueue.Call.None;
    }
}
