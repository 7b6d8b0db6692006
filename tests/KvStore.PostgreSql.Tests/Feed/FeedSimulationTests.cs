using KvStore.PostgreSql.Feed;

namespace KvStore.PostgreSql.Tests.Feed;

/// <summary>
/// The feed against a model of the database: transactions that commit in any order, rollbacks, lost connections, removed changes,
/// restarts and failovers that lose transactions.
/// </summary>
public sealed class FeedSimulationTests
{
    private const int Schedules = 10_000;
    private const int Steps = 60;

    private static readonly string[] s_keys = ["a", "b", "c", "d", "e"];

    [Fact]
    public async Task Replica_equals_the_database_after_every_schedule()
    {
        for (var seed = 0; seed < Schedules; seed++)
        {
            try
            {
                await new Schedule(seed).RunAsync();
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Seed {seed}: {e.Message}", e);
            }
        }
    }

    [Fact]
    public async Task Sequence_that_was_set_back_is_refused()
    {
        var database = new ModelDatabase();
        var host = new ModelHost();
        using var feed = new ReplicaFeed(database, host);
        await feed.OpenAsync(default);
        feed.NoteRevision(500);
        (await feed.Invoking(f => f.PollAsync(default).AsTask()).Should().ThrowAsync<KvPersistenceException>()).WithMessage("*500*setval*");
    }

    private sealed class Schedule(int seed)
    {
        private readonly Random _random = new(seed);
        private readonly ModelDatabase _database = new();
        private readonly ModelHost _host = new();
        private readonly List<KvMutation> _unpublished = [];
        private ReplicaFeed _feed = null!;
        private ModelDatabase.Saved? _saved;
        private int _values;

        public async Task RunAsync()
        {
            using var feed = _feed = new ReplicaFeed(_database, _host);
            await feed.OpenAsync(default);
            for (var step = 0; step < Steps; step++)
            {
                await StepAsync();
                ShouldHoldWhatWasCommitted();
            }

            _database.FailsAfter = 0;
            foreach (var transaction in _database.Running.ToList())
            {
                End(transaction);
            }

            PublishAll();
            await feed.PollAsync(default);
            await feed.PollAsync(default);
            _host.Entries.Select(entry => (entry.Key, entry.Value))
                .Should().Equal(_database.Rows.Where(row => row.Value.Value is not null).Select(row => (row.Key, row.Value.Value!)));
        }

        private async Task StepAsync()
        {
            switch (_random.Next(100))
            {
                case < 12:
                    Write(_database.Begin());
                    break;
                case < 30 when _database.Running.Count > 0:
                    Write(Any(_database.Running));
                    break;
                case < 48 when _database.Running.Count > 0:
                    End(Any(_database.Running));
                    break;
                case < 60:
                    WriteOwn();
                    break;
                case < 66:
                    PublishAll();
                    break;
                case < 84:
                    await PollAsync();
                    break;
                case < 88:
                    await TryAsync(() => _feed.RefreshAsync([ModelHost.BytesOf(Any(s_keys))], default).AsTask());
                    break;
                case < 91:
                    _database.FailsAfter = _random.Next(1, 6);
                    break;
                case < 93:
                    _database.DropChanges();
                    break;
                case < 95 when _unpublished.Count == 0:
                    await PollAsync();
                    _database.ForgetDeletes();
                    break;
                case < 96:
                    _database.Restart();
                    break;
                case < 98:
                    _saved = _database.Save();
                    break;
                case 98 when _saved is not null:
                    PublishAll();
                    _database.SetBack(_saved);
                    _saved = null;
                    break;
                default:
                    break;
            }
        }

        private async Task PollAsync()
        {
            var before = _database.Rows.ToDictionary(row => row.Key, row => row.Value);
            if (await TryAsync(async () => await _feed.PollAsync(default)))
            {
                // What was committed before the question is here, or something newer.
                foreach (var (key, row) in before)
                {
                    var known = _host.Entries.FirstOrDefault(entry => entry.Key == key);
                    if (row.Value is not null)
                    {
                        _host.RevisionOf(ModelHost.BytesOf(key)).Should().BeGreaterThanOrEqualTo(row.Revision, $"of {key}");
                    }
                    else if (known.Key is not null)
                    {
                        known.Revision.Should().BeGreaterThan(row.Revision, $"of the deleted {key}");
                    }
                }
            }
        }

        private static async Task<bool> TryAsync(Func<Task> call)
        {
            try
            {
                await call();
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }

        private T Any<T>(IReadOnlyList<T> items) => items[_random.Next(items.Count)];

        private string? NextValue() => _random.Next(4) == 0 ? null : $"v{_values++}";

        private void Write(ModelDatabase.Transaction transaction)
        {
            var key = Any(s_keys);
            if (transaction.Writes.ContainsKey(key) || !_database.IsLocked(key))
            {
                _database.Write(transaction, key, NextValue());
            }
        }

        private void End(ModelDatabase.Transaction transaction)
        {
            if (_random.Next(4) == 0)
            {
                _database.RollBack(transaction);
            }
            else
            {
                _database.Commit(transaction);
            }
        }

        // A write of this process: committed, and published now or later.
        private void WriteOwn()
        {
            var key = Any(s_keys);
            if (_database.IsLocked(key))
            {
                return;
            }

            var transaction = _database.Begin();
            var value = NextValue();
            var revision = _database.Write(transaction, key, value);
            _database.Commit(transaction);
            _feed.NoteRevision(revision);
            _unpublished.Add(new KvMutation
            {
                Key = ModelHost.BytesOf(key),
                Revision = revision,
                IsDelete = value is null,
                Value = value is null ? default : ModelHost.BytesOf(value),
            });
            _host.Unpublished = _unpublished.Count;
        }

        private void PublishAll()
        {
            // In another order than that of the commits.
            foreach (var mutation in _unpublished.OrderBy(_ => _random.Next()))
            {
                _host.Apply(mutation);
            }

            _unpublished.Clear();
            _host.Unpublished = 0;
        }

        private void ShouldHoldWhatWasCommitted()
        {
            foreach (var (key, revision, value) in _host.Entries)
            {
                (_database.History.TryGetValue((key, revision), out var committed) && committed == value).Should().BeTrue($"{key} has the revision {revision}");
            }
        }
    }
}
