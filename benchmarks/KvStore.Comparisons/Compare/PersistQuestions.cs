using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Persistence.Log;
using KvStore.Persistence.Storage;
using Microsoft.Extensions.Logging;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// What does it cost to keep what is put, and to get it back? The provider by itself, beside what the disk does by itself: a
/// loop that appends and flushes, and one that reads and adds up checksums. Files lie below the current directory.
/// </summary>
internal static class PersistQuestions
{
    private const int RecordBytes = 152;

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var callers in options.IsShort ? [1, 16] : new[] { 1, 16, 256 })
        {
            yield return new($"persist/durable {callers}", session => Durable(session, callers));
        }

        yield return new("persist/buffered", Buffered);
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            yield return new($"persist/recover {keys:N0}", session => Recover(session, keys));
        }
    }

    private static void Durable(Session session, int callers)
    {
        const string Raw = "append and fdatasync";
        var duration = TimeSpan.FromMilliseconds(session.Options.IsShort ? 20 : 1000);
        var raw = new Sample[session.Options.Rounds];
        var ours = new Sample[session.Options.Rounds];
        for (var round = 0; round < raw.Length; round++)
        {
            session.Progress.Show((double)round / raw.Length, $"round {round + 1}");
            raw[round] = InDirectory(directory => AppendAndFlush(directory, callers, duration));
            ours[round] = InDirectory(directory => PutAsync(directory, callers, duration).GetAwaiter().GetResult());
        }

        Progress.Clear();
        session.Report.Add(ResultTable.OfRounds(
            $"persist/durable: puts that are on the disk when they complete, {callers} callers; ratio to appending and flushing {callers} records at a time",
            "us/put", 1000, Raw, [("KvStore FilePersistence, Immediate", ours), (Raw, raw)]));
    }

    private static void Buffered(Session session)
    {
        var puts = session.Options.IsShort ? 1000 : 2_000_000;
        List<(string, Sample[])> rows = [];
        foreach (var durability in new[] { Durability.Buffered, Durability.Interval })
        {
            var rounds = new Sample[session.Options.Rounds];
            for (var round = 0; round < rounds.Length; round++)
            {
                session.Progress.Show((double)round / rounds.Length, $"{durability}, round {round + 1}");
                rounds[round] = InDirectory(directory => FillAsync(directory, puts, durability).GetAwaiter().GetResult());
            }

            rows.Add(($"KvStore FilePersistence, {durability}", rounds));
        }

        Progress.Clear();
        session.Report.Add(ResultTable.OfRounds(
            "persist/buffered: puts of one thread that are on the disk some time later", "ns/put", 1, rows[0].Item1, rows));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Recover(Session session, int keys)
    {
        const string Floor = "read and checksum";
        var floor = new Sample[session.Options.Rounds];
        var ours = new Sample[session.Options.Rounds];
        InDirectory(directory =>
        {
            FillAsync(directory, keys, Durability.Buffered).GetAwaiter().GetResult();
            for (var round = 0; round < floor.Length; round++)
            {
                session.Progress.Show((double)round / floor.Length, $"round {round + 1}");
                floor[round] = ReadAndChecksum(directory);
                var clock = Stopwatch.StartNew();
                var persistence = new FilePersistence(directory);
                persistence.OpenAsync(new Host()).AsTask().GetAwaiter().GetResult();
                ours[round] = new Sample(clock.Elapsed.TotalNanoseconds, 0);
                persistence.DisposeAsync().AsTask().GetAwaiter().GetResult();
            }

            return default;
        });
        Progress.Clear();
        session.Report.Add(ResultTable.OfRounds(
            $"persist/recover: opening {keys:N0} entries, handed to a host that keeps nothing; ratio to reading the files and their checksum",
            "ms", 1_000_000, Floor, [("KvStore FilePersistence", ours), (Floor, floor)]));
    }

    private static Sample AppendAndFlush(string directory, int batch, TimeSpan duration)
    {
        using var file = File.OpenHandle(Path.Combine(directory, "raw"), FileMode.CreateNew, FileAccess.ReadWrite);
        var bytes = new byte[RecordBytes * batch];
        var offset = 0L;
        var puts = 0L;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < duration)
        {
            for (var at = 0; at < bytes.Length; at += RecordBytes)
            {
                BitConverter.TryWriteBytes(bytes.AsSpan(at), Crc32C.Compute(bytes.AsSpan(at + 4, RecordBytes - 4)));
            }

            RandomAccess.Write(file, bytes, offset);
            NativeFlush.Data(file);
            offset += bytes.Length;
            puts += batch;
        }

        return new Sample(clock.Elapsed.TotalNanoseconds / puts, 0);
    }

    private static async Task<Sample> PutAsync(string directory, int callers, TimeSpan duration)
    {
        await using var persistence = new FilePersistence(directory);
        await persistence.OpenAsync(new Host());
        var keys = Array.ConvertAll(Workload.Keys(1000), Encoding.ASCII.GetBytes);
        var value = new byte[Workload.ValueBytes];
        var gate = new Lock();
        var revision = 0L;
        var puts = 0L;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            var count = 0;
            for (; clock.Elapsed < duration; count++)
            {
                ValueTask put;
                lock (gate)
                {
                    put = persistence.AppendAsync(new KvMutation { Key = keys[(caller + count) % keys.Length], Value = value, Revision = ++revision });
                }

                await put.ConfigureAwait(false);
            }

            Interlocked.Add(ref puts, count);
        })));
        return new Sample(clock.Elapsed.TotalNanoseconds / puts, 0);
    }

    private static async Task<Sample> FillAsync(string directory, int puts, Durability durability)
    {
        await using var persistence = new FilePersistence(
            directory, new FilePersistenceOptions { Durability = durability, CompactionBytesMin = long.MaxValue });
        await persistence.OpenAsync(new Host());
        var keys = Array.ConvertAll(Workload.Keys(puts), Encoding.ASCII.GetBytes);
        var value = new byte[Workload.ValueBytes];
        var allocated = GC.GetTotalAllocatedBytes();
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < puts; i++)
        {
            await persistence.AppendAsync(new KvMutation { Key = keys[i], Value = value, Revision = i + 1 }).ConfigureAwait(false);
        }

        return new Sample(clock.Elapsed.TotalNanoseconds / puts, (GC.GetTotalAllocatedBytes() - allocated) / (double)puts);
    }

    private static Sample ReadAndChecksum(string directory)
    {
        var buffer = new byte[1 << 20];
        var checksum = 0u;
        var clock = Stopwatch.StartNew();
        foreach (var path in Directory.EnumerateFiles(directory, "*.log"))
        {
            using var file = File.OpenHandle(path);
            for (var offset = 0L; RandomAccess.Read(file, buffer, offset) is var read && read > 0; offset += read)
            {
                checksum = Crc32C.Append(checksum, buffer.AsSpan(0, read));
            }
        }

        GC.KeepAlive(checksum);
        return new Sample(clock.Elapsed.TotalNanoseconds, 0);
    }

    private static Sample InDirectory(Func<string, Sample> measure)
    {
        var directory = Directory.CreateDirectory(Path.Combine("artifacts", $"persist-{Guid.NewGuid():N}")).FullName;
        try
        {
            return measure(directory);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Stands where the engine does, and keeps nothing, so that the provider alone is measured.</summary>
    private sealed class Host : IKvPersistenceHost
    {
        private int _seen;

        public TimeProvider TimeProvider => TimeProvider.System;

        public ILoggerFactory? LoggerFactory => null;

        public long LiveEntries => 1000;

        public long LiveBytes => 1000 * (24 + Workload.ValueBytes);

        public void Prepare(long mutations, long bytes) => _seen = 0;

        public void Recover(in KvMutation mutation) => _seen |= mutation.Key.Span[0] | mutation.Value.Span[0];

        public bool IsCurrent(ReadOnlySpan<byte> key, long revision) => true;

        public ValueTask WriteLiveAsync(long throughRevision, KvMutationHandler write, CancellationToken cancellationToken) => default;
    }
}
