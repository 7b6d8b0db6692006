using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using KvStore.Benchmarks.Peers;

namespace KvStore.Benchmarks.Quick;

/// <summary>How many operations a second do one and two threads get through, reading, writing and both?</summary>
internal static class ThreadQuestions
{
    private const int Accesses = 500_000;
    private const int ReadsPerWrite = 9;
    private const int KeysPerCall = 250;

    private static readonly string[] s_columns =
        ["1 reader", "2 readers", "x", "reader beside", "x", "writer", "90/10, 2 thr."];

    /// <summary>What one thread does again and again: the operations that it did, beginning at an offset.</summary>
    private delegate int Work(Peer peer, string[] access, int offset);

    public static void Ask(QuickOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            if (options.Asks("threads"))
            {
                Compare(options, keys);
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Compare(QuickOptions options, int keys)
    {
        using var kv = new KvStorePeer();
        using var concurrent = new ConcurrentDictionaryPeer();
        using var ttl = new TtlDictionaryPeer();
        using var cache = new MemoryCachePeer();
        Peer[] peers = [kv, concurrent, ttl, cache];
        foreach (var peer in peers)
        {
            peer.Fill(0, keys);
        }

        // A sequence for each thread: on one they would follow each other's trail through the caches.
        string[][] access = [Workload.Uniform(keys, Accesses, seed: 11), Workload.Uniform(keys, Accesses, seed: 12)];
        var duration = TimeSpan.FromMilliseconds(options.IsShort ? 5 : 150);
        if (!options.IsShort)
        {
            foreach (var peer in peers)
            {
                _ = Round(peer, access, TimeSpan.FromMilliseconds(150));
            }
        }

        var rounds = peers.Select(_ => new double[options.Rounds][]).ToArray();
        for (var round = 0; round < options.Rounds; round++)
        {
            for (var i = 0; i < peers.Length; i++)
            {
                var at = (i + round) % peers.Length;
                Settle(options);
                rounds[at][round] = Round(peers[at], access, duration);
            }
        }

        Print($"threads: million operations a second, median of {options.Rounds}, {keys:N0} keys, uniform", peers, rounds);
    }

    // What a store does in the background after being written must not be counted against the lone reader that comes next.
    private static void Settle(QuickOptions options)
    {
        GC.Collect(1);
        if (!options.IsShort)
        {
            Thread.Sleep(300);
        }
    }

    private static double[] Round(Peer peer, string[][] access, TimeSpan duration)
    {
        // Once before and once after, since the caches are colder for whoever comes first.
        var oneBefore = Measure(peer, access, duration, Read)[0];
        var two = Measure(peer, access, duration, Read, Read).Sum();
        var one = (oneBefore + Measure(peer, access, duration, Read)[0]) / 2;
        var mixed = Measure(peer, access, duration, Read, Write);
        var ninety = Measure(peer, access, duration, ReadMostly, ReadMostly).Sum();
        return [one, two, two / one, mixed[0], mixed[0] / one, mixed[1], ninety];
    }

    private static int Read(Peer peer, string[] access, int offset)
    {
        SinkOf(peer.GetAll(new ArraySegment<string>(access, offset, KeysPerCall)));
        return KeysPerCall;
    }

    private static int Write(Peer peer, string[] access, int offset)
    {
        peer.PutAll(new ArraySegment<string>(access, offset, KeysPerCall), s_value);
        return KeysPerCall;
    }

    private static int ReadMostly(Peer peer, string[] access, int offset)
    {
        var keys = new ArraySegment<string>(access, offset, KeysPerCall);
        while (keys.Count > 0)
        {
            SinkOf(peer.GetAll(keys[..ReadsPerWrite]));
            peer.PutAll(keys[ReadsPerWrite..(ReadsPerWrite + 1)], s_value);
            keys = keys[(ReadsPerWrite + 1)..];
        }

        return KeysPerCall;
    }

    /// <summary>Runs each work on a thread of its own for some time.</summary>
    /// <returns>Million operations a second, per thread.</returns>
    private static double[] Measure(Peer peer, string[][] access, TimeSpan duration, params Work[] works)
    {
        var rates = new double[works.Length];
        using var start = new Barrier(works.Length);
        var threads = works.Select((work, index) => new Thread(() =>
        {
            start.SignalAndWait();
            rates[index] = Loop(work, peer, access[index], duration);
        })).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        return rates;
    }

    private static double Loop(Work work, Peer peer, string[] access, TimeSpan duration)
    {
        var start = Stopwatch.GetTimestamp();
        var operations = 0L;
        var offset = 0;
        TimeSpan elapsed;
        do
        {
            operations += work(peer, access, offset);
            offset = offset + (2 * KeysPerCall) > access.Length ? 0 : offset + KeysPerCall;
            elapsed = Stopwatch.GetElapsedTime(start);
        }
        while (elapsed < duration);
        return operations / elapsed.TotalMicroseconds;
    }

    private static void Print(string title, Peer[] peers, double[][][] rounds)
    {
        Console.WriteLine();
        Console.WriteLine(title);
        Console.WriteLine($"  {"",-28} {string.Join(' ', s_columns.Select(c => $"{c,13}"))}");
        for (var i = 0; i < peers.Length; i++)
        {
            var columns = Enumerable.Range(0, s_columns.Length)
                .Select(column => ResultTable.Median(rounds[i].Select(round => round[column])).ToString("0.00", CultureInfo.InvariantCulture));
            Console.WriteLine($"  {peers[i].Name,-28} {string.Join(' ', columns.Select(c => $"{c,13}"))}");
        }
    }

    [ThreadStatic]
    private static long s_sink;

    private static readonly byte[] s_value = Workload.Value(1);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void SinkOf(int result) => s_sink += result;
}
