using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Persistence.Storage;
using KvStore.Records;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// What do persistent puts and recovery cost? A namespace that persists, compared with the disk alone: a loop that appends and
/// flushes, and a loop that reads and computes checksums. The files are below the current directory.
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
        yield return new("persist/room", Room);
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

        Report(
            session,
            $"persist/durable: puts that are on the disk when they complete, {callers} callers; ratio to appending and flushing {callers} records at a time",
            "us/put", 1000, Raw, [("KvStore PutAsync, Immediate", ours), (Raw, raw)]);
    }

    private static void Buffered(Session session)
    {
        const string Memory = "KvStore PutAsync, memory alone";
        var puts = session.Options.IsShort ? 1000 : 2_000_000;
        List<(string, Sample[])> rows = [(Memory, Rounds(session, Memory, () => FillMemory(puts)))];
        foreach (var durability in new[] { Durability.Buffered, Durability.Interval })
        {
            var name = $"KvStore PutAsync, {durability}";
            rows.Add((name, Rounds(session, name, () => InDirectory(directory => FillAsync(directory, puts, durability).GetAwaiter().GetResult()))));
        }

        Report(session, "persist/buffered: puts of one thread that are on the disk some time later", "ns/put", 1, Memory, rows);
    }

    private static Sample[] Rounds(Session session, string name, Func<Sample> measure)
    {
        var rounds = new Sample[session.Options.Rounds];
        for (var round = 0; round < rounds.Length; round++)
        {
            session.Progress.Show((double)round / rounds.Length, $"{name}, round {round + 1}");
            rounds[round] = measure();
        }

        return rounds;
    }

    private static void Report(
        Session session, string title, string unit, double nanosecondsPerUnit, string baseline, IReadOnlyList<(string Name, Sample[] Rounds)> rows)
    {
        Progress.Clear();
        session.Report.Add(ResultTable.OfRounds(title, unit, nanosecondsPerUnit, baseline, rows));
    }

    private static Sample FillMemory(int puts)
    {
        using var kv = KvNamespace.Create("BENCH_KV");
        var keys = Workload.Keys(puts);
        var value = new byte[Workload.ValueBytes];
        var allocated = GC.GetTotalAllocatedBytes();
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < puts; i++)
        {
            kv.PutAsync(keys[i], value).AsTask().GetAwaiter().GetResult();
        }

        return new Sample(clock.Elapsed.TotalNanoseconds / puts, (GC.GetTotalAllocatedBytes() - allocated) / (double)puts);
    }

    /// <summary>The bytes of a compacted directory for each byte of keys and values in it.</summary>
    private static void Room(Session session)
    {
        const string Live = "live bytes";
        var keys = session.Options.IsShort ? 1000 : 1_000_000;
        var bytes = InDirectory(directory =>
        {
            FillAsync(directory, keys, Durability.Buffered).GetAwaiter().GetResult();
            FillAsync(directory, keys / 2, Durability.Buffered).GetAwaiter().GetResult();
            var kv = OpenAsync(directory).AsTask().GetAwaiter().GetResult();
            kv.CompactAsync().AsTask().GetAwaiter().GetResult();
            kv.DisposeAsync().AsTask().GetAwaiter().GetResult();
            return new Sample(new DirectoryInfo(directory).EnumerateFiles().Sum(file => file.Length), 0);
        });
        Report(
            session,
            $"persist/room: {keys:N0} entries after half of as many overwrites and a compaction; bytes on disk for each live one",
            "bytes", 1, Live, [("KvStore on disk", [bytes]), (Live, [new Sample((24L + Workload.ValueBytes) * keys, 0)])]);
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
            for (var round = 0; round < session.Options.Rounds; round++)
            {
                floor[round] = ReadAndChecksum(directory);
                var clock = Stopwatch.StartNew();
                var kv = OpenAsync(directory).AsTask().GetAwaiter().GetResult();
                ours[round] = new Sample(clock.Elapsed.TotalNanoseconds, 0);
                kv.DisposeAsync().AsTask().GetAwaiter().GetResult();
            }

            return default;
        });
        Report(
            session,
            $"persist/recover: opening a namespace with {keys:N0} entries; ratio to reading the files and their checksum",
            "ms", 1_000_000, Floor, [("KvStore OpenAsync", ours), (Floor, floor)]);
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
        await using var kv = await OpenAsync(directory);
        var keys = Workload.Keys(1000);
        var value = new byte[Workload.ValueBytes];
        var puts = 0L;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            var count = 0;
            for (; clock.Elapsed < duration; count++)
            {
                await kv.PutAsync(keys[(caller + count) % keys.Length], value).ConfigureAwait(false);
            }

            Interlocked.Add(ref puts, count);
        })));
        return new Sample(clock.Elapsed.TotalNanoseconds / puts, 0);
    }

    private static async Task<Sample> FillAsync(string directory, int puts, Durability durability)
    {
        await using var kv = await OpenAsync(directory, new FilePersistenceOptions { Durability = durability, CompactionBytesMin = long.MaxValue });
        var keys = Workload.Keys(puts);
        var value = new byte[Workload.ValueBytes];
        var allocated = GC.GetTotalAllocatedBytes();
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < puts; i++)
        {
            await kv.PutAsync(keys[i], value).ConfigureAwait(false);
        }

        return new Sample(clock.Elapsed.TotalNanoseconds / puts, (GC.GetTotalAllocatedBytes() - allocated) / (double)puts);
    }

    private static ValueTask<KvNamespace> OpenAsync(string directory, FilePersistenceOptions? options = null) =>
        KvNamespace.OpenAsync("BENCH_KV", new KvNamespaceOptions { Persistence = new FilePersistence(directory, options) });

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
}
