using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Comparisons.Peers;
using Npgsql;

namespace KvStore.Comparisons.Compare;

/// <summary>How long does it take to get many entries into PostgreSQL, and out of it? Asked by <see cref="PostgreSqlQuestions"/>.</summary>
internal static class PostgreSqlBulkQuestions
{
    private const string Columns = "namespace, key, revision, expires, rounding, large, large_bytes, metadata, value";

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Import(Session session, int keys)
    {
        const string Copy = "psql \\copy";
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        var entries = Entries(keys);
        var (copied, put, bulk) = (new Sample[session.Options.Rounds], new Sample[session.Options.Rounds], new Sample[session.Options.Rounds]);
        var file = database.PathOf("rows");
        for (var round = -1; round < copied.Length; round++)
        {
            session.Progress.Show(Math.Max(0, (double)round / copied.Length), $"round {round + 1}");
            var ours = InEmptyNamespace(database, kv => kv.PutManyAsync(entries).AsTask());
            if (round < 0)
            {
                // The same rows, in the order in which they were put, and a table with the same columns and indexes.
                database.Psql($"\\copy (SELECT {Columns} FROM kvstore.entries ORDER BY revision) TO '{file}'");
                database.Execute("CREATE TABLE copied (LIKE kvstore.entries INCLUDING ALL) WITH (fillfactor = 90)");
                continue;
            }

            put[round] = PerEntry(ours, keys);
            bulk[round] = PerEntry(ImportBulk(database, keys), keys);
            database.Execute("TRUNCATE copied");
            database.Execute("CHECKPOINT");
            var clock = Stopwatch.StartNew();
            database.Psql($"\\copy copied ({Columns}) FROM '{file}'");
            copied[round] = PerEntry(clock.Elapsed, keys);
        }

        PostgreSqlQuestions.Report(
            session,
            $"postgresql/import: {keys:N0} new entries; ratio to \\copy of the same rows into a table with the same columns and indexes",
            "µs/entry", 1000, Copy, ("KvStore PutManyAsync", put), ("KvStore ImportAsync, a JSON file", bulk), (Copy, copied));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Open(Session session, int keys)
    {
        const string Export = "COPY ... TO STDOUT, read by Npgsql";
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        var entries = Entries(keys);
        InEmptyNamespace(database, kv => kv.PutManyAsync(entries).AsTask());
        var (read, opened) = (new Sample[session.Options.Rounds], new Sample[session.Options.Rounds]);
        for (var round = -1; round < read.Length; round++)
        {
            session.Progress.Show(Math.Max(0, (double)round / read.Length), $"round {round + 1}");
            GC.Collect();
            var clock = Stopwatch.StartNew();
            ReadRows(database.ConnectionString, keys);
            var reading = clock.Elapsed;
            GC.Collect();
            clock.Restart();
            var kv = KvPostgreSql.OpenAsync("BENCH_KV", database.ConnectionString).AsTask().GetAwaiter().GetResult();
            var opening = clock.Elapsed;
            kv.DisposeAsync().AsTask().GetAwaiter().GetResult();
            if (round >= 0)
            {
                (read[round], opened[round]) = (PerEntry(reading, keys), PerEntry(opening, keys));
            }
        }

        PostgreSqlQuestions.Report(
            session,
            $"postgresql/open: a namespace of {keys:N0} entries; ratio to the rows read in the binary format",
            "µs/entry", 1000, Export, ("KvStore OpenAsync", opened), (Export, read));
    }

    private static KvEntry[] Entries(int count)
    {
        var entries = new KvEntry[count];
        for (var i = 0; i < count; i++)
        {
            entries[i] = new KvEntry(Workload.Key(i), Workload.Value(i));
        }

        return entries;
    }

    private static Sample PerEntry(TimeSpan elapsed, int entries) => new(elapsed.TotalNanoseconds / entries, 0);

    private static TimeSpan InEmptyNamespace(PostgreSqlServer.Database database, Func<KvNamespace, Task> fill)
    {
        database.Execute("DROP SCHEMA IF EXISTS kvstore CASCADE");
        var kv = KvPostgreSql.OpenAsync("BENCH_KV", database.ConnectionString).AsTask().GetAwaiter().GetResult();
        database.Execute("CHECKPOINT");
        GC.Collect();
        var clock = Stopwatch.StartNew();
        fill(kv).GetAwaiter().GetResult();
        var elapsed = clock.Elapsed;
        kv.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return elapsed;
    }

    private static TimeSpan ImportBulk(PostgreSqlServer.Database database, int keys)
    {
        var json = new StringBuilder("[");
        for (var i = 0; i < keys; i++)
        {
            json.Append(CultureInfo.InvariantCulture, $"{(i == 0 ? "" : ",")}{{\"key\":\"{Workload.Key(i)}\",\"value\":\"{Encoding.ASCII.GetString(Workload.Value(i))}\"}}");
        }

        using var file = new MemoryStream(Encoding.ASCII.GetBytes(json.Append(']').ToString()));
        return InEmptyNamespace(database, async kv =>
        {
            if ((await kv.ImportAsync(file)).Imported != keys)
            {
                throw new InvalidOperationException("Every entry is imported.");
            }
        });
    }

    private static void ReadRows(string connectionString, int keys)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Open();
        using var export = connection.BeginBinaryExport("COPY (SELECT key, revision, metadata, value FROM kvstore.entries) TO STDOUT (FORMAT BINARY)");
        var rows = 0;
        var bytes = 0L;
        while (export.StartRow() >= 0)
        {
            bytes += export.Read<byte[]>().Length + export.Read<long>() + export.Read<byte[]>().Length + export.Read<byte[]>().Length;
            rows++;
        }

        if (rows != keys || bytes == 0)
        {
            throw new InvalidOperationException("Every row is read.");
        }
    }
}
