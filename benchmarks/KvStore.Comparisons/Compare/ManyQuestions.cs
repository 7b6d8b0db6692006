using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>What do calls with many entries save, compared with one call for each?</summary>
internal static class ManyQuestions
{
    private const int EntriesPerCall = 1000;
    private const string Single = "KvStore PutAsync";
    private const string Many = "KvStore PutManyAsync";

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            yield return new($"put/many new {keys:N0}", session => New(session, keys));
        }

        foreach (var keys in options.KeyCounts(1000, 1_000_000))
        {
            yield return new($"put/many overwrite {keys:N0}", session => Overwrite(session, keys));
        }

        yield return new("persist/many", Durable);
        foreach (var keys in options.KeyCounts(10_000, 1_000_000))
        {
            yield return new($"scan {keys:N0}", session => Scan(session, keys));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void New(Session session, int keys)
    {
        var names = Workload.Keys(keys);
        var calls = Calls(names, Workload.Value(0));
        new SideBySide($"put/many new: {keys:N0} keys into an empty store, {EntriesPerCall:N0} a call; ratio to a call for each", session)
        {
            OperationsPerRound = keys,
            Baseline = Single,
        }.Run(
        [
            PeerContender(Single, names.Length, 1, (peer, range) => peer.PutAll(names.Part(range), Workload.Value(0))),
            PeerContender(Many, calls.Length, calls[0].Length, (peer, range) => peer.PutManyAll(calls.Part(range))),
        ]);

        static Contender PeerContender(string name, int steps, int operations, Action<KvStorePeer, Range> run)
        {
            KvStorePeer? peer = null;
            return new Contender(name, steps, operations, range =>
            {
                run(peer!, range);
                return range.End.Value;
            })
            {
                IsOnce = true,
                Prepare = () =>
                {
                    GC.Collect();
                    peer = new KvStorePeer();
                },
                Finish = () =>
                {
                    peer!.Dispose();
                    peer = null;
                },
            };
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Overwrite(Session session, int keys)
    {
        var access = Workload.Uniform(keys, Math.Clamp(keys, 4096, 500_000));
        var value = Workload.Value(1);
        var calls = Calls(access, value);
        using var peer = new KvStorePeer();
        peer.Fill(0, keys);
        new SideBySide($"put/many overwrite: {keys:N0} keys, uniform, {EntriesPerCall:N0} a call; ratio to a call for each", session)
        {
            Baseline = Single,
        }.Run(
        [
            new(Single, access.Length, 1, range =>
            {
                peer.PutAll(access.Part(range), value);
                return range.End.Value;
            }),
            new(Many, calls.Length, calls[0].Length, range =>
            {
                peer.PutManyAll(calls.Part(range));
                return range.End.Value;
            }),
        ]);
    }

    private static void Durable(Session session)
    {
        var duration = TimeSpan.FromMilliseconds(session.Options.IsShort ? 20 : 1000);
        var calls = Calls(Workload.Keys(EntriesPerCall), new byte[Workload.ValueBytes]);
        var single = new Sample[session.Options.Rounds];
        var many = new Sample[session.Options.Rounds];
        for (var round = 0; round < single.Length; round++)
        {
            session.Progress.Show((double)round / single.Length, $"round {round + 1}");
            single[round] = Measure(duration, peer =>
            {
                peer.PutAll(Workload.Keys(1).Part(..1), new byte[Workload.ValueBytes]);
                return 1;
            });
            many[round] = Measure(duration, peer =>
            {
                peer.PutManyAll(calls.Part(..1));
                return EntriesPerCall;
            });
        }

        Progress.Clear();
        session.Report.Add(ResultTable.OfRounds(
            $"persist/many: entries that are on the disk when their call completes, Immediate, {EntriesPerCall:N0} a call; ratio to a call for each",
            "us/entry", 1000, Single, [(Many, many), (Single, single)]));

        static Sample Measure(TimeSpan duration, Func<KvStorePeer, int> put)
        {
            using var peer = new KvStorePeer(Durability.Immediate);
            put(peer);
            var entries = 0L;
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed < duration)
            {
                entries += put(peer);
            }

            return new Sample(clock.Elapsed.TotalNanoseconds / entries, 0);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Scan(Session session, int keys)
    {
        const string Gets = "KvStore ListAsync and GetAsync";
        using var peer = new KvStorePeer();
        peer.Fill(0, keys);

        // One page, or as many as they are.
        var prefixes = keys <= 10_000 ? [""] : Enumerable.Range(0, 16).Select(i => $"session:{i:x}").ToArray();
        var share = keys / prefixes.Length;
        new SideBySide($"scan: entries with their values in key order, {keys:N0} keys; ratio to pages of a list and a get for each key", session)
        {
            Baseline = Gets,
            OperationsPerRound = keys,
            StepsPerCallMax = 1,
        }.Run(
        [
            new(Gets, prefixes.Length, share, range => peer.ListAndGetAll(prefixes.Part(range))),
            new("KvStore ScanAsync", prefixes.Length, share, range => peer.ScanAll(prefixes.Part(range))),
            new("KvStore ScanAsync, with the keys", prefixes.Length, share, range => peer.ScanWithKeysAll(prefixes.Part(range))),
        ]);
        const string Texts = "KvStore ListAllAsync and GetTextAsync";
        new SideBySide($"scan: the same, values as text, {keys:N0} keys", session)
        {
            Baseline = Texts,
            OperationsPerRound = keys,
            StepsPerCallMax = 1,
        }.Run(
        [
            new(Texts, prefixes.Length, share, range => peer.ListAndGetTextAll(prefixes.Part(range))),
            new("KvStore ScanAsync, GetText", prefixes.Length, share, range => peer.ScanTextAll(prefixes.Part(range))),
        ]);
    }

    private static KvEntry[][] Calls(string[] keys, byte[] value) =>
        [.. keys.Chunk(EntriesPerCall).Where(chunk => chunk.Length == Math.Min(EntriesPerCall, keys.Length)).Select(chunk => Array.ConvertAll(chunk, key => new KvEntry(key, value)))];
}
