using System.Globalization;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>What do watchers cost a writer, and how long does a change take to each of them?</summary>
internal static class WatchQuestions
{
    private const string Unwatched = "nobody watches";
    private static readonly int[] s_fanOuts = [1, 10, 100, 1000];

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1000, 1_000_000))
        {
            yield return new($"watch/put {keys:N0}", session => Puts(session, keys));
        }

        yield return new("watch/fan out", FanOut);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Puts(Session session, int keys)
    {
        using var plain = new KvStorePeer();
        using var others = new KvStorePeer();
        using var near = new KvStorePeer();
        using var unread = new KvStorePeer();
        using var read = new KvStorePeer();
        foreach (var peer in new[] { plain, others, near, unread, read })
        {
            peer.Fill(0, keys);
        }

        using var otherWatchers = new Watchers(others.Namespace, Enumerable.Range(0, 100).Select(static i => string.Create(CultureInfo.InvariantCulture, $"tenant:{i:D3}:")), reads: true);

        // They begin as the keys do, and no key has them.
        using var nearWatchers = new Watchers(near.Namespace, Enumerable.Range(0, 100).Select(static i => string.Create(CultureInfo.InvariantCulture, $"session:x{i:D3}")), reads: true);
        using var unreadWatcher = new Watchers(unread.Namespace, [""], reads: false);
        using var reader = new Watchers(read.Namespace, [""], reads: true);
        var value = Workload.Value(1);
        var access = Workload.Uniform(keys, Math.Clamp(keys, 4096, 500_000));
        new SideBySide($"watch/put: overwrites of {keys:N0} keys, uniform; what watchers add", session) { Baseline = Unwatched }.Run(
        [
            Putting(Unwatched, plain),
            Putting("100 watchers of 100 other prefixes", others),
            Putting("100 watchers of 100 prefixes that begin like the keys", near),
            Putting("a watcher of all keys, who does not read", unread),
            Putting("a watcher of all keys, who reads", read),
        ]);

        Contender Putting(string name, KvStorePeer peer) => new(name, access.Length, 1, range =>
        {
            peer.PutAll(access.Part(range), value);
            return range.End.Value;
        });
    }

    // One change at a time, until every watcher has been shown it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FanOut(Session session)
    {
        var fanOuts = s_fanOuts.Select(static count => (Count: count, Peer: new KvStorePeer())).ToArray();
        var watchers = fanOuts.Select(static fanOut => new Watchers(fanOut.Peer.Namespace, Enumerable.Repeat("", fanOut.Count), reads: true)).ToArray();
        new SideBySide("watch/fan out: a put, until every watcher of the key has been shown it", session)
        {
            Baseline = NameOf(1),
            OperationsPerRound = 2_000,
            StepsPerCallMax = 1,
            IsOnOtherThreads = true,
            Unit = "µs",
            NanosecondsPerUnit = 1000,
        }.Run(
        [
            .. fanOuts.Select((fanOut, i) => new Contender(NameOf(fanOut.Count), 64, 1, range =>
            {
                for (var n = range.Start.Value; n < range.End.Value; n++)
                {
                    watchers[i].Expect();
                    fanOut.Peer.Namespace.PutAsync("key", "value").AsTask().GetAwaiter().GetResult();
                    watchers[i].WaitForAll();
                }

                return range.End.Value;
            }) { IsSlow = true }),
        ]);
        Array.ForEach(watchers, static watcher => watcher.Dispose());
        Array.ForEach(fanOuts, static fanOut => fanOut.Peer.Dispose());

        static string NameOf(int count) => count == 1 ? "1 watcher" : string.Create(CultureInfo.InvariantCulture, $"{count} watchers");
    }

    private sealed class Watchers : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly CountdownEvent _shown = new(1);
        private readonly Task[] _reading;
        private int _isExpecting;

        public Watchers(IKvNamespace kv, IEnumerable<string> prefixes, bool reads) => _reading = [.. prefixes.Select(prefix => Begin((KvNamespace)kv, prefix, reads))];

        public void Expect()
        {
            _shown.Reset(_reading.Length);
            Volatile.Write(ref _isExpecting, 1);
        }

        public void WaitForAll()
        {
            _shown.Wait();
            Volatile.Write(ref _isExpecting, 0);
        }

        public void Dispose()
        {
            _stop.Cancel();
            Task.WhenAll(_reading).GetAwaiter().GetResult();
            _stop.Dispose();
            _shown.Dispose();
        }

        private Task Begin(KvNamespace kv, string prefix, bool reads)
        {
            var changes = kv.WatchAsync(new KvWatchOptions { Prefix = prefix }, _stop.Token).GetAsyncEnumerator();

            // The watch begins here.
            var first = changes.MoveNextAsync().AsTask();
            return ReadAsync(changes, first, reads);
        }

        private async Task ReadAsync(IAsyncEnumerator<KvChange> changes, Task<bool> first, bool reads)
        {
            try
            {
                for (var next = first; await next; next = changes.MoveNextAsync().AsTask())
                {
                    if (Volatile.Read(ref _isExpecting) != 0)
                    {
                        _shown.Signal();
                    }

                    if (!reads)
                    {
                        await Task.Delay(Timeout.Infinite, _stop.Token);
                    }
                }
            }
            catch (OperationCanceledException)
            {
                await changes.DisposeAsync();
            }
        }
    }
}
