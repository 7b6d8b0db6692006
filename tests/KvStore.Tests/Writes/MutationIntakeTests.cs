using System.Collections.Concurrent;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.TestKit.Persistence;
using KvStore.Writes;
using Record = KvStore.Records.Record;

namespace KvStore.Tests.Writes;

/// <summary>Mutations whose revision was given elsewhere, beside those that are made here: the highest revision of a key wins.</summary>
public sealed class MutationIntakeTests : IDisposable
{
    private const uint Never = 0;

    private readonly FakeTimeProvider _time = new();
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly ConcurrentQueue<KvValueReference> _released = new();
    private readonly CallOrder _calls = new();
    private readonly ConcurrentQueue<Task> _commits = new();
    private Committer _committer;

    public MutationIntakeTests()
    {
        _clock = new CoarseClock(_time);
        _store = NewStore();
        _committer = new Committer("KV", _store, persistence: null, engine: null, _calls, admission: null);
        _store.ExpectLate(arrivedThrough: 0);
    }

    public enum Kind
    {
        Put,
        PutThatExpiresSoon,
        PutThatHasExpired,
        PutLarge,
        Delete,
    }

    private long NowSeconds => _time.GetUtcNow().ToUnixTimeSeconds();

    public void Dispose()
    {
        _store.Dispose();
        _clock.Dispose();
    }

    [Fact]
    public void Any_order_with_repeats_and_sweeps_in_between_leads_to_the_newest_state()
    {
        var mutations = Enumerable.Range(1, 15).Select(revision => (Key: $"k{revision % 3}", Kind: (Kind)(revision * 7 % 5), Revision: (long)revision)).ToArray();
        var arrivals = from first in Gen.Shuffle(mutations)
                       from second in Gen.Shuffle(mutations)
                       from batch in Gen.Choose(1, 40)
                       select (Order: first.Concat(second).ToArray(), Batch: batch);
        Prop.ForAll(arrivals.ToArbitrary(), arrival =>
        {
            using var store = NewStore();
            store.ExpectLate(arrivedThrough: 0);
            var intake = new MutationIntake(store);
            var soon = (uint)NowSeconds + 1;
            foreach (var (mutation, number) in arrival.Order.Select((mutation, number) => (mutation, number)))
            {
                intake.Add(MutationOf(mutation.Key, mutation.Kind, mutation.Revision, soon));
                if (number % arrival.Batch == 0)
                {
                    intake.Complete();

                    // What expires is swept while older mutations are still to come.
                    _time.Advance(TimeSpan.FromSeconds(1));
                }
            }

            intake.Complete();
            _time.Advance(TimeSpan.FromSeconds(2));

            var newest = mutations.GroupBy(m => m.Key).Select(group => group.MaxBy(m => m.Revision)).ToArray();
            foreach (var (key, kind, revision) in newest)
            {
                Read(store, key).Should().Be(kind is Kind.Put or Kind.PutLarge ? ValueOf(kind, revision) : null);
            }

            Names(store).Should().Equal(newest.Where(m => m.Kind is Kind.Put or Kind.PutLarge).Select(m => m.Key).Order());
            store.Count.Should().Be(newest.Count(m => m.Kind is Kind.Put or Kind.PutLarge));
            store.Revision.Should().Be(mutations.Length);
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Late_mutations_beside_local_writers_leave_the_newest_of_each_key(bool persists, bool waits)
    {
        const int Writers = 3;
        const int Rounds = 4_000;
        using var disk = new WaitingPersistence(waits);
        _committer = new Committer("KV", _store, persists ? disk : null, engine: null, _calls, admission: null);
        _committer.Open(hasRecoveredDeletes: false);
        var made = new ConcurrentBag<(string Key, string? Value, long Revision)>();
        var failures = new ConcurrentQueue<Exception>();
        var threads = Enumerable.Range(0, Writers).SelectMany(number => new[]
        {
            Start(() => WriteHere(number), failures),
            Start(() => ApplyLate(number), failures),
        }).ToArray();
        Array.ForEach(threads, thread => thread.Join());
        disk.CompleteAll();
        await Task.WhenAll(_commits);
        await _committer.WhenSettledAsync(long.MaxValue - 1);
        failures.Should().BeEmpty();

        foreach (var group in made.GroupBy(m => m.Key))
        {
            Read(_store, group.Key).Should().Be(group.MaxBy(m => m.Revision).Value);
        }

        Names(_store).Should().Equal(made.GroupBy(m => m.Key).Where(g => g.MaxBy(m => m.Revision).Value is not null).Select(g => g.Key).Order(StringComparer.Ordinal));
        made.Select(m => m.Revision).Should().OnlyHaveUniqueItems().And.NotContain(0);

        void WriteHere(int number)
        {
            var random = new Random(number);
            for (var round = 0; round < Rounds; round++)
            {
                var key = $"key {random.Next(40)}";
                var value = random.Next(3) == 0 ? null : $"here {number} {round}";
                made.Add((key, value, value is null ? DeleteHere(key) : PutHere(key, value)));
            }
        }

        void ApplyLate(int number)
        {
            // Revisions of the same authority, given long before the mutations arrive, which they do in another order and twice.
            var random = new Random(100 + number);
            var intake = new MutationIntake(_store);
            var held = new List<(string Key, string? Value, long Revision)>();
            for (var round = 0; round < Rounds; round++)
            {
                held.Add(($"key {random.Next(40)}", random.Next(3) == 0 ? null : $"elsewhere {number} {round}", _store.TakeRevision()));
                if (held.Count == 100)
                {
                    held.ForEach(made.Add);
                    var twice = held.Concat(held).ToArray();
                    random.Shuffle(twice);
                    foreach (var (key, value, revision) in twice)
                    {
                        intake.Add(MutationOf(key, value, revision));
                    }

                    intake.Complete();
                    held.Clear();
                }
            }
        }
    }

    [Fact]
    public void Local_revisions_are_higher_than_any_that_arrived_before()
    {
        Apply(MutationOf("k", "elsewhere", 1_000));

        PutHere("k", "here").Should().BeGreaterThan(1_000);
        Apply(MutationOf("other", "elsewhere", 5_000), MutationOf("k", "late", 999));
        DeleteHere("k").Should().BeGreaterThan(5_000);

        Read(_store, "k").Should().BeNull();
    }

    [Fact]
    public void Older_put_that_arrives_after_a_local_delete_does_not_bring_the_key_back()
    {
        PutHere("k", "here");
        var late = _store.TakeRevision();
        DeleteHere("k").Should().BeGreaterThan(late);
        DeleteHere("never there").Should().BeGreaterThan(late);

        Apply(MutationOf("k", "late", late), MutationOf("never there", "late", late - 1));

        Names(_store).Should().BeEmpty();
    }

    [Fact]
    public void Older_put_that_arrives_after_the_newest_has_expired_does_not_bring_the_key_back()
    {
        Apply(MutationOf("k", Kind.PutThatExpiresSoon, 10, (uint)NowSeconds + 5));
        Read(_store, "k").Should().NotBeNull();
        _time.Advance(TimeSpan.FromSeconds(10));
        _store.Count.Should().Be(0, "it was swept");

        Apply(MutationOf("k", "late", 9), MutationOf("k", Kind.PutThatExpiresSoon, 10, (uint)NowSeconds - 5));

        Read(_store, "k").Should().BeNull();
        _store.ExpiredCount.Should().Be(1);
    }

    [Fact]
    public void Tombstones_are_forgotten_once_everything_older_has_arrived()
    {
        const int Keys = 3_000;
        for (var i = 0; i < Keys; i++)
        {
            Apply(MutationOf($"key {i}", value: null, revision: i + 1));
        }

        _store.TombstoneCount.Should().Be(Keys);

        _committer.ExpectLate(arrivedThrough: Keys / 2);
        _store.TombstoneCount.Should().Be(Keys / 2);

        // Repeats of what has arrived, and a late one of what has not.
        Apply(MutationOf("key 0", "repeat", 1), MutationOf("key 1", "repeat", 2), MutationOf($"key {Keys - 1}", "late", Keys - 1));
        Names(_store).Should().BeEmpty();
        _committer.ExpectLate(arrivedThrough: Keys);
        _store.TombstoneCount.Should().Be(0);
        PutHere("key 0", "here").Should().BeGreaterThan(Keys);
        Read(_store, "key 0").Should().Be("here");
    }

    [Fact]
    public void Large_value_of_each_mutation_that_is_not_the_newest_is_released_once()
    {
        Apply(MutationOf("k", Kind.PutLarge, 2, Never), MutationOf("k", Kind.PutLarge, 3, Never), MutationOf("k", Kind.PutLarge, 1, Never));
        Apply(MutationOf("k", Kind.PutLarge, 3, Never));
        _released.Select(reference => reference.Id).Should().Equal(2, 1);

        DeleteHere("k");

        _released.Select(reference => reference.Id).Should().Equal(2, 1, 3);
    }

    private static Thread Start(Action action, ConcurrentQueue<Exception> failures)
    {
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                failures.Enqueue(e);
            }
        });
        thread.Start();
        return thread;
    }

    private ShardedStore NewStore() => new(_clock, _time, releaseLargeValue: _released.Enqueue);

    private void Apply(params KvMutation[] mutations)
    {
        var intake = new MutationIntake(_store);
        foreach (var mutation in mutations)
        {
            intake.Add(mutation);
        }

        intake.Complete();
    }

    private long PutHere(string name, string value)
    {
        var key = new Utf8Key(Encoding.UTF8.GetBytes(name));
        var bytes = Encoding.UTF8.GetBytes(value);
        var draft = _store.Draft(key, metadataBytes: 0, bytes.Length, deadline: default);
        bytes.CopyTo(draft.Record.DraftValue);
        var commit = _committer.CommitAsync(key, draft, replicated: null, out var revision);
        _commits.Enqueue(commit.AsTask());
        return revision;
    }

    private long DeleteHere(string name)
    {
        var commit = _committer.CommitAsync(new Utf8Key(Encoding.UTF8.GetBytes(name)), draft: default, replicated: null, out var revision);
        _commits.Enqueue(commit.AsTask());
        return revision;
    }

    private KvMutation MutationOf(string key, Kind kind, long revision, uint soon) => new()
    {
        Key = Encoding.UTF8.GetBytes(key),
        Value = kind is Kind.Delete or Kind.PutLarge ? default : Encoding.UTF8.GetBytes(ValueOf(kind, revision)),
        LargeValue = kind == Kind.PutLarge ? new KvValueReference(revision, 100) : default,
        DeadlineSeconds = kind switch { Kind.PutThatExpiresSoon => soon, Kind.PutThatHasExpired => (uint)NowSeconds - 1, _ => Never },
        IsDelete = kind == Kind.Delete,
        Revision = revision,
    };

    private static KvMutation MutationOf(string key, string? value, long revision) => new()
    {
        Key = Encoding.UTF8.GetBytes(key),
        Value = value is null ? default : Encoding.UTF8.GetBytes(value),
        IsDelete = value is null,
        Revision = revision,
    };

    private static string ValueOf(Kind kind, long revision) => kind == Kind.PutLarge ? $"large value {revision}" : $"value {revision}";

    private static string? Read(ShardedStore store, string name) =>
        !store.TryFind(new Utf8Key(Encoding.UTF8.GetBytes(name)), out var record) ? null
        : record.IsLarge ? $"large value {record.LargeValue.Id}"
        : Encoding.UTF8.GetString(record.Value);

    private static List<string> Names(ShardedStore store)
    {
        var results = new Record[1000];
        var count = store.List(prefix: [], after: [], results);
        return [.. results.Take(count).Select(record => Encoding.UTF8.GetString(record.Key))];
    }

    /// <summary>A provider that takes appends at once, or completes each when a later one comes.</summary>
    private sealed class WaitingPersistence(bool waits) : IKvPersistence, IDisposable
    {
        private readonly Lock _lock = new();
        private readonly Queue<TaskCompletionSource> _waiting = new();

        public KvPersistenceHealth Health => KvPersistenceHealth.Healthy;

        public IKvLargeValues? LargeValues => null;

        public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default) => new(new KvRecovery());

        public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default)
        {
            if (!waits)
            {
                return default;
            }

            var append = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            TaskCompletionSource? completed = null;
            lock (_lock)
            {
                _waiting.Enqueue(append);
                completed = _waiting.Count > 20 ? _waiting.Dequeue() : null;
            }

            completed?.SetResult();
            return new(append.Task);
        }

        public void CompleteAll()
        {
            while (_waiting.TryDequeue(out var append))
            {
                append.SetResult();
            }
        }

        public ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

        public ValueTask CompactAsync(CancellationToken cancellationToken = default) => default;

        public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default) => default;

        public ValueTask DisposeAsync() => default;

        public void Dispose() => CompleteAll();
    }
}
