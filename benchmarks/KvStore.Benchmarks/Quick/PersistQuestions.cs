using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Persistence.Log;
using KvStore.Persistence.Storage;

namespace KvStore.Benchmarks.Quick;

/// <summary>
/// What does it cost to keep what is put, and to get it back? A namespace that persists, beside what the disk does by itself: a
/// loop that appends and flushes, and one that reads and adds up checksums. Files lie below the current directory.
/// </summary>
internal static class PersistQuestions
{
    private const int RecordBytes = 152;

    public static void Ask(QuickOptions options)
    {
        if (options.Asks("persist/durable"))
        {
            foreach (var callers in options.IsShort ? [1, 16] : new[] { 1, 16, 256 })
            {
                Durable(options, callers);
            }
        }

        if (options.Asks("persist/buffered"))
        {
            Buffered(options);
        }

        if (options.Asks("persist/room"))
        {
            Room(options);
        }

        if (options.Asks("persist/recover"))
        {
            foreach (var keys in options.KeyCounts(1_000_000))
            {
                Recover(options, keys);
            }
        }
    }

    private static void Durable(QuickOptions options, int callers)
    {
        var table = new ResultTable(
            $"persist/durable: puts that are on the disk when they complete, {callers} callers; ratio to appending and flushing {callers} records at a time",
            "us/put",
            "append and fdatasync");
        var duration = TimeSpan.FromMilliseconds(options.IsShort ? 20 : 1000);
        var raw = new Sample[options.Rounds];
        var ours = new Sample[options.Rounds];
        for (var round = 0; round < options.Rounds; round++)
        {
            raw[round] = InDirectory(directory => AppendAndFlush(directory, callers, duration));
            ours[round] = InDirectory(directory => PutAsync(directory, callers, duration).GetAwaiter().GetResult());
        }

        table.Add("append and fdatasync", raw, 1000);
        table.Add("PutAsync, Immediate", ours, 1000);
        table.Print();
    }

    private static void Buffered(QuickOptions options)
    {
        var table = new ResultTable("persist/buffered: puts of one thread that are on the disk some time later", "ns/put", "PutAsync, memory alone");
        var puts = options.IsShort ? 1000 : 2_000_000;
        var memory = new Sample[options.Rounds];
        for (var round = 0; round < memory.Length; round++)
        {
            memory[round] = FillMemory(puts);
        }

        table.Add("PutAsync, memory alone", memory, 1);
        foreach (var durability in new[] { Durability.Buffered, Durability.Interval })
        {
            var rounds = new Sample[options.Rounds];
            for (var round = 0; round < rounds.Length; round++)
            {
                rounds[round] = InDirectory(directory => FillAsync(directory, puts, durability).GetAwaiter().GetResult());
            }

            table.Add($"PutAsync, {durability}", rounds, 1);
        }

        table.Print();
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

    /// <summary>What a compacted directory takes, for each byte of keys and values in it.</summary>
    private static void Room(QuickOptions options)
    {
        var keys = options.IsShort ? 1000 : 1_000_000;
        var table = new ResultTable($"persist/room: {keys:N0} entries after half of as many overwrites and a compaction; bytes on disk for each live one", "bytes", "live bytes");
        var bytes = InDirectory(directory =>
        {
            FillAsync(directory, keys, Durability.Buffered).GetAwaiter().GetResult();
            FillAsync(directory, keys / 2, Durability.Buffered).GetAwaiter().GetResult();
            var kv = OpenAsync(directory).AsTask().GetAwaiter().GetResult();
            kv.CompactAsync().AsTask().GetAwaiter().GetResult();
            kv.DisposeAsync().AsTask().GetAwaiter().GetResult();
            return new Sample(new DirectoryInfo(directory).EnumerateFiles().Sum(file => file.Length), 0);
        });
        table.Add("live bytes", [new Sample((24L + Workload.ValueBytes) * keys, 0)], 1);
        table.Add("on disk", [bytes], 1);
        table.Print();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Recover(QuickOptions options, int keys)
    {
        var table = new ResultTable(
            $"persist/recover: opening a namespace with {keys:N0} entries; ratio to reading the files and their checksum", "ms", "read and checksum");
        var floor = new Sample[options.Rounds];
        var ours = new Sample[options.Rounds];
        InDirectory(directory =>
        {
            FillAsync(directory, keys, Durability.Buffered).GetAwaiter().GetResult();
            for (var round = 0; round < options.Rounds; round++)
            {
                floor[round] = ReadAndChecksum(directory);
                var clock = Stopwatch.StartNew();
                var kv = OpenAsync(directory).AsTask().GetAwaiter().GetResult();
                ours[round] = new Sample(clock.Elapsed.TotalNanoseconds, 0);
                kv.DisposeAsync().AsTask().GetAwaiter().GetResult();
            }

            return default;
        });
        table.Add("read and checksum", floor, 1_000_000);
        table.Add("KvNamespace.OpenAsync", ours, 1_000_000);
        table.Print();
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
