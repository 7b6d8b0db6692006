using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// How long does it take to put a value under a key? The namespace and the databases copy the value, the other stores keep a
/// reference.
/// </summary>
internal static class PutQuestions
{
    private const int OverwritesMin = 4096;
    private const int OverwritesMax = 500_000;

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            yield return new($"put/new {keys:N0}", session => New(session, keys));
        }

        foreach (var keys in options.KeyCounts(1000, 1_000_000))
        {
            yield return new($"put/overwrite {keys:N0}", session => Overwrite(session, keys));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void New(Session session, int keys)
    {
        var names = Workload.Keys(keys);
        var sources = session.Options.Select(PeerSource.InMemory.Where(source => source.IsWritable));
        new SideBySide($"put/new: {keys:N0} keys into an empty store", session)
        {
            OperationsPerRound = keys,
            SummaryColumn = "put new: ns (x)",
            Missing = sources.Where(source => source.Create is null),
        }.Run([.. sources.Where(source => source.Create is not null).Select(source => Inserting(source, names))]);
    }

    public static Contender Inserting(PeerSource source, string[] names)
    {
        var value = Workload.Value(0);
        Peer? peer = null;
        return new Contender(source.Name, names.Length, 1, range =>
        {
            peer!.PutAll(names.Part(range), value);
            return range.End.Value;
        })
        {
            IsOnce = true,
            Prepare = () =>
            {
                // The stores of the round before are freed now, not during a measurement.
                GC.Collect();
                peer = source.Create!();
            },
            Finish = () =>
            {
                peer!.Dispose();
                peer = null;
            },
        };
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Overwrite(Session session, int keys)
    {
        var access = Workload.Uniform(keys, Math.Clamp(keys, OverwritesMin, OverwritesMax));
        var value = Workload.Value(1);
        using var peers = new PeerSet(session, PeerSource.InMemory.Where(source => source.IsWritable), keys);
        new SideBySide($"put/overwrite: {keys:N0} keys, uniform", session)
        {
            SummaryColumn = keys >= 1_000_000 ? "overwrite: ns (x)" : null,
            Missing = peers.Missing,
        }.Run(
        [
            .. peers.Doing(access, (peer, part) =>
            {
                peer.PutAll(part, value);
                return part.Count;
            }),
        ]);
    }
}
