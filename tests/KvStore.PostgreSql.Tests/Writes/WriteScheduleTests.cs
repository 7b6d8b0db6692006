using System.Text;
using KvStore.PostgreSql.Writes;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Random schedules of writes and of what two lanes do with them.</summary>
public sealed class WriteScheduleTests
{
    private const int Schedules = 2000;

    [Fact]
    public async Task Every_schedule_keeps_the_order_of_keys_calls_and_barriers_and_ends()
    {
        var (together, shared, passed) = (0, 0, 0);
        for (var seed = 0; seed < Schedules; seed++)
        {
            var schedule = new Schedule(seed);
            await schedule.RunAsync();
            together += schedule.Together;
            shared += schedule.Left;
            passed += schedule.Barriers;
        }

        // The schedules have what they are about.
        together.Should().BeGreaterThan(Schedules / 2);
        shared.Should().BeGreaterThan(Schedules / 20);
        passed.Should().BeGreaterThan(Schedules / 2);
    }

    private sealed class Schedule(int seed)
    {
        private const int Steps = 160;

        private readonly Random _random = new(seed);
        private readonly WriteBacklog _backlog = new();
        private readonly List<Item> _items = [];
        private readonly Dictionary<QueuedWrite, Item> _itemOf = [];
        private readonly Lane[] _lanes = [.. Enumerable.Range(0, WriteBacklog.Lanes).Select(static number => new Lane(number))];
        private readonly int _keys = 4 << new Random(seed).Next(8);

        private enum States
        {
            Waiting,
            InFlight,
            Ended,
        }

        /// <summary>How many transactions began beside another one.</summary>
        public int Together { get; private set; }

        /// <summary>How many transactions left something to another lane.</summary>
        public int Left { get; private set; }

        /// <summary>How many barriers were passed.</summary>
        public int Barriers { get; private set; }

        public async Task RunAsync()
        {
            for (var step = 0; step < Steps; step++)
            {
                Do(_random.Next(50));
            }

            var ended = _backlog.WhenEnded();
            while (_lanes.Any(static lane => lane.IsBegun))
            {
                Step(_lanes[_random.Next(_lanes.Length)]);
            }

            Check(_backlog.Count == 0 && ended.IsCompleted, "everything ends");
            await Task.WhenAll(_items.Select(static item => item.Write.Done.ContinueWith(static _ => { }, TaskScheduler.Default))).WaitAsync(TimeSpan.FromMinutes(1));
            Check(_items.TrueForAll(static item => item.State == States.Ended || item.Group?.Failure is not null), "what was not taken has failed or was cancelled");
        }

        private void Do(int choice)
        {
            switch (choice)
            {
                case 0 when seed % 2 == 0:
                    Add(isBarrier: true, group: null);
                    break;
                case 1:
                    AddMany(100, group: null);
                    break;
                case 2 or 3:
                    AddMany(20, new KvEngineGroup());
                    break;
                case < 8:
                    AddMany(10, group: null);
                    break;
                case 8 when _items.Count > 0:
                    Cancel(_items[_random.Next(_items.Count)]);
                    break;
                case 9 or 10 when _lanes[_random.Next(_lanes.Length)] is { Taken.Count: > 0 } lane:
                    _backlog.NoteDelay(lane.Number);
                    Begin(_backlog.BeginAnother());
                    break;
                default:
                    Step(_lanes[_random.Next(_lanes.Length)]);
                    break;
            }

            Check(_backlog.Count == 0 || _lanes.Any(static lane => lane is { IsBegun: true, IsOpening: false }), "a lane is busy while something waits");
        }

        private void AddMany(int max, KvEngineGroup? group)
        {
            for (var i = _random.Next(max); i >= 0; i--)
            {
                Add(isBarrier: false, group);
            }
        }

        private void Add(bool isBarrier, KvEngineGroup? group)
        {
            var operation = isBarrier ? KvEngineOperation.Check : _random.Next(6) == 0 ? KvEngineOperation.Delete : KvEngineOperation.Put;
            var write = Queued.Write(isBarrier ? "" : $"{_random.Next(_keys)}", operation, _random.Next(8) == 0 ? 0 : long.MaxValue, group);
            var item = new Item(write, group is null && _random.Next(4) == 0 ? new CancellationTokenSource() : null);
            item.Number = _items.Count;
            _items.Add(item);
            _itemOf.Add(write, item);
            Begin(_backlog.Add(write, item.Cancellation?.Token ?? CancellationToken.None));
        }

        private static void Cancel(Item item)
        {
            item.Cancellation?.Cancel();
            item.State = item.Cancellation is not null && item.State == States.Waiting ? States.Ended : item.State;
        }

        private void Begin(int? number)
        {
            if (number is { } begun)
            {
                Check(!_lanes[begun].IsBegun, "a lane is begun once");
                (_lanes[begun].IsBegun, _lanes[begun].IsOpening) = (true, begun > 0);
            }
        }

        private void Step(Lane lane)
        {
            if (!lane.IsBegun)
            {
                return;
            }

            if (lane.IsOpening)
            {
                Open(lane);
            }
            else if (lane.Taken.Count == 0)
            {
                Take(lane);
            }
            else
            {
                End(lane);
            }
        }

        private void Open(Lane lane)
        {
            lane.IsOpening = false;
            if (_random.Next(4) == 0)
            {
                lane.IsBegun = false;
                _backlog.GiveUp(lane.Number);
            }
            else
            {
                _backlog.Opened(lane.Number);
            }
        }

        private void Take(Lane lane)
        {
            var heads = _backlog.Take(lane.Number);
            if (heads.Count == 0)
            {
                lane.IsBegun = false;
                return;
            }

            var elsewhere = _lanes.Where(other => other != lane).SelectMany(static other => other.Taken).ToList();
            Together += elsewhere.Count > 0 ? 1 : 0;
            Left += heads.Count >= WriteBacklog.SharedFrom / 2 && _backlog.Count >= WriteBacklog.SharedFrom / 4 ? 1 : 0;
            foreach (var head in heads)
            {
                for (var write = head; write is not null; write = write.Superseded)
                {
                    var item = _itemOf[write];
                    Check(item.State == States.Waiting, "a write is taken once");
                    item.State = States.InFlight;
                    lane.Taken.Add(item);
                    Check(
                        write.Superseded is not { } earlier || (write.IsPlainPut && earlier.IsPlainPut && _itemOf[earlier].Number < item.Number),
                        "a later put takes the place of an earlier one");
                }
            }

            Check(heads.Select(head => _itemOf[head].Key).Distinct(StringComparer.Ordinal).Count() == heads.Count, "a transaction has one write for each key");
            Check(
                heads.GroupBy(static head => head.Write.Group).All(call => call.Key is null || call.Select(head => _itemOf[head].Number).Order().SequenceEqual(call.Select(head => _itemOf[head].Number))),
                "the entries of a call are made in their order");
            var waiting = _items.FindAll(static item => item.State == States.Waiting && item.Group?.Failure is null);
            foreach (var item in lane.Taken)
            {
                Check(item.Group?.Failure is null, "nothing is made after a failure");
                Check(!elsewhere.Exists(item.Excludes), "transactions in flight have nothing in common");
                Check(!waiting.Exists(other => other.Number < item.Number && item.Excludes(other)), "the order of a key, of a call and of a barrier is kept");
            }

            Begin(_backlog.BeginAnother());
        }

        private void End(Lane lane)
        {
            Barriers += lane.Taken[0].Write.IsBarrier ? 1 : 0;
            var superseded = lane.Taken.Select(static item => item.Write.Superseded).ToHashSet();
            foreach (var item in lane.Taken)
            {
                item.State = States.Ended;
                if (superseded.Contains(item.Write))
                {
                    continue;
                }

                if (_random.Next(20) == 0)
                {
                    item.Write.Fail(new KvPersistenceException("It failed."));
                }
                else
                {
                    item.Write.Complete(default);
                }
            }

            lane.Taken.Clear();
            lane.IsBegun = _backlog.Release(lane.Number);
        }

        private void Check(bool holds, string rule)
        {
            if (!holds)
            {
                holds.Should().BeTrue("{0} (schedule {1})", rule, seed);
            }
        }

        private sealed class Item(QueuedWrite write, CancellationTokenSource? cancellation)
        {
            public QueuedWrite Write => write;

            public string Key { get; } = Encoding.UTF8.GetString(write.Key.Span);

            public CancellationTokenSource? Cancellation => cancellation;

            public KvEngineGroup? Group => write.Write.Group;

            public int Number { get; set; }

            public States State { get; set; }

            /// <summary>Whether the two must not be in flight at once, and keep their order.</summary>
            public bool Excludes(Item other) =>
                write.IsBarrier || other.Write.IsBarrier || other.Key == Key || (Group is not null && other.Group == Group);
        }

        private sealed class Lane(int number)
        {
            public int Number => number;

            public bool IsBegun { get; set; }

            public bool IsOpening { get; set; }

            public List<Item> Taken { get; } = [];
        }
    }
}
