using System.Diagnostics;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Latency;

/// <summary>
/// Readers at a fixed rate, and a writer beside them. A read is timed from when it was due, not from when it began, so a stall counts
/// for every request that it delays.
/// </summary>
internal sealed class LatencyRound(ITimedPeer peer, LatencyOptions options, string[][] access, LoadPlan plan)
{
    private volatile bool _isOver;

    /// <summary>Runs for the duration and returns the times of all reads.</summary>
    public LatencyHistogram Run()
    {
        var histograms = new LatencyHistogram[options.Readers];
        using var start = new Barrier(options.Readers + 1);
        var writer = new Thread(() =>
        {
            start.SignalAndWait();
            Write();
        });
        var readers = new Thread[options.Readers];
        for (var i = 0; i < readers.Length; i++)
        {
            var index = i;
            readers[i] = new Thread(() =>
            {
                start.SignalAndWait();
                histograms[index] = Read(access[index], index);
            });
        }

        writer.Start();
        Array.ForEach(readers, thread => thread.Start());
        Array.ForEach(readers, thread => thread.Join());
        _isOver = true;
        writer.Join();
        var all = new LatencyHistogram();
        Array.ForEach(histograms, all.Add);
        return all;
    }

    private LatencyHistogram Read(string[] keys, int reader)
    {
        var histogram = new LatencyHistogram();
        var ticksPerSecond = (double)Stopwatch.Frequency;
        var interval = ticksPerSecond / options.ReadsPerSecond;
        var begin = Stopwatch.GetTimestamp() + (interval * reader / options.Readers);
        var requests = (long)(options.Duration.TotalSeconds * options.ReadsPerSecond);
        var next = 0;
        for (var request = 0L; request < requests; request++)
        {
            var intended = (long)(begin + (request * interval));
            while (Stopwatch.GetTimestamp() < intended)
            {
                // Spins, because a thread that sleeps wakes up too late.
            }

            peer.Read(keys[next]);
            next = next + 1 == keys.Length ? 0 : next + 1;
            histogram.Add((long)((Stopwatch.GetTimestamp() - intended) * (1e9 / ticksPerSecond)));
        }

        return histogram;
    }

    // A few writes each millisecond, so that the writer leaves its processor to background work of the store.
    private void Write()
    {
        var clock = Stopwatch.StartNew();
        for (var done = 0; !_isOver;)
        {
            var due = (int)Math.Min(clock.Elapsed.TotalSeconds * options.WritesPerSecond, int.MaxValue);
            for (; done < due && !_isOver; done++)
            {
                plan.Do(done, peer);
            }

            Thread.Sleep(1);
        }
    }
}
