using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// What does a namespace in PostgreSQL cost beside the statements that a program would write itself? A server on this machine, which
/// flushes each commit.
/// </summary>
internal static class PostgreSqlQuestions
{
    private const string Ours = "KvStore PutAsync";
    private const int HotKeys = 100_000;
    private const int WarmUpRounds = 4;

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var callers in new[] { 1, 256 })
        {
            yield return Asked($"postgresql/put {callers}", session => Puts(session, callers));
        }

        foreach (var keys in options.KeyCounts(1_000_000))
        {
            yield return Asked($"postgresql/import {keys:N0}", session => PostgreSqlBulkQuestions.Import(session, keys));
            yield return Asked($"postgresql/open {keys:N0}", session => PostgreSqlBulkQuestions.Open(session, keys));
        }

        yield return Asked("postgresql/visible", PostgreSqlReadQuestions.Visible);
        yield return Asked("postgresql/read", PostgreSqlReadQuestions.Read);
        yield return Asked("postgresql/cache", PostgreSqlReadQuestions.Cache);
    }

    /// <summary>Adds a table of rounds to the report.</summary>
    public static void Report(
        Session session, string title, string unit, double nanosecondsPerUnit, string baseline, params (string Name, Sample[] Rounds)[] rows)
    {
        Progress.Clear();
        session.Report.Add(ResultTable.OfRounds(title, unit, nanosecondsPerUnit, baseline, rows));
    }

    private static Question Asked(string name, Action<Session> ask) => new(name, session =>
    {
        if (PostgreSqlServer.MissingBecause is not { } reason)
        {
            ask(session);
            return;
        }

        var table = new ResultTable(name, "result");
        table.Add("PostgreSQL", $"missing: {reason}");
        session.Report.Add(table);
    });

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Puts(Session session, int callers)
    {
        const string Bare = "prepared INSERT ... ON CONFLICT";
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        database.Execute("CREATE TABLE bare (key bytea PRIMARY KEY, value bytea NOT NULL)");
        using var source = NpgsqlDataSource.Create(database.ConnectionString);
        var kv = KvPostgreSql.OpenAsync("BENCH_KV", database.ConnectionString).AsTask().GetAwaiter().GetResult();
        var duration = TimeSpan.FromMilliseconds(session.Options.IsShort ? 20 : 1500);
        var (bare, ours) = (new Sample[session.Options.Rounds], new Sample[session.Options.Rounds]);
        for (var round = -WarmUpRounds; round < bare.Length; round++)
        {
            // Those before are not counted: connections are opened, statements prepared, rows inserted, and code compiled for some seconds.
            session.Progress.Show(Math.Max(0, (double)round / bare.Length), round < 0 ? "warm-up" : $"round {round + 1}");
            var raw = CallAsync(callers, duration, callers == 1 ? () => new OneConnection(source) : () => new Pooled(source)).GetAwaiter().GetResult();
            var put = CallAsync(callers, duration, () => new Putting(kv)).GetAwaiter().GetResult();
            if (round >= 0)
            {
                (bare[round], ours[round]) = (raw, put);
            }
        }

        kv.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Report(
            session,
            $"postgresql/put: overwrites of {HotKeys:N0} keys, {callers:N0} {(callers == 1 ? "caller, one connection" : "callers, the pool of Npgsql")}; ratio to a statement for each put",
            "µs/put", 1000, Bare, (Ours, ours), (Bare, bare));
    }

    private static async Task<Sample> CallAsync(int callers, TimeSpan duration, Func<ICaller> begin)
    {
        var puts = 0L;
        var allocated = GC.GetTotalAllocatedBytes();
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            var random = new Random(caller);
            var value = Workload.Value(caller);
            await using var calling = begin();
            var count = 0;
            for (; clock.Elapsed < duration; count++)
            {
                await calling.PutAsync(Workload.Key(random.Next(HotKeys)), value).ConfigureAwait(false);
            }

            Interlocked.Add(ref puts, count);
        })));
        return new Sample(clock.Elapsed.TotalNanoseconds / puts, (GC.GetTotalAllocatedBytes() - allocated) / (double)puts);
    }

    /// <summary>A way to put.</summary>
    private interface ICaller : IAsyncDisposable
    {
        ValueTask PutAsync(string key, byte[] value);
    }

    private sealed class Putting(KvNamespace kv) : ICaller
    {
        public ValueTask PutAsync(string key, byte[] value) => kv.PutAsync(key, value);

        public ValueTask DisposeAsync() => default;
    }

    /// <summary>One connection and one statement, prepared once.</summary>
    private sealed class OneConnection : ICaller
    {
        private readonly NpgsqlConnection _connection;
        private readonly NpgsqlCommand _command;

        public OneConnection(NpgsqlDataSource source)
        {
            _connection = source.OpenConnection();
            _command = Insert(_connection);
            _command.Prepare();
        }

        public async ValueTask PutAsync(string key, byte[] value)
        {
            (_command.Parameters[0].Value, _command.Parameters[1].Value) = (System.Text.Encoding.UTF8.GetBytes(key), value);
            await _command.ExecuteNonQueryAsync().ConfigureAwait(false);
        }

        public async ValueTask DisposeAsync()
        {
            await _command.DisposeAsync();
            await _connection.DisposeAsync();
        }

        public static NpgsqlCommand Insert(NpgsqlConnection connection)
        {
            var command = new NpgsqlCommand("INSERT INTO bare (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value", connection);
            command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bytea });
            command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bytea });
            return command;
        }
    }

    /// <summary>A connection of the pool for each put. The pool keeps the prepared statement of each connection.</summary>
    private sealed class Pooled(NpgsqlDataSource source) : ICaller
    {
        public async ValueTask PutAsync(string key, byte[] value)
        {
            await using var connection = await source.OpenConnectionAsync().ConfigureAwait(false);
            await using var command = OneConnection.Insert(connection);
            (command.Parameters[0].Value, command.Parameters[1].Value) = (System.Text.Encoding.UTF8.GetBytes(key), value);
            await command.PrepareAsync().ConfigureAwait(false);
            await command.ExecuteNonQueryAsync().ConfigureAwait(false);
        }

        public ValueTask DisposeAsync() => default;
    }
}
