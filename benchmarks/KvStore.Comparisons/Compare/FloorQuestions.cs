using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// What is the lower bound of a put: hash the key, append a record, write a hash entry? Measured beside the store and the dictionary,
/// to show the distance to the hardware's limit.
/// </summary>
internal static class FloorQuestions
{
    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            yield return new($"floor/put new {keys:N0}", session => New(session, keys));
            yield return new($"floor/overwrite {keys:N0}", session => Overwrite(session, keys));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void New(Session session, int keys)
    {
        var names = Workload.Keys(keys);
        var warm = new BareAppend(keys);
        BareAppend? fresh = null;
        new SideBySide($"floor/put new: {keys:N0} keys, against appending the same records and writing a word", session)
        {
            OperationsPerRound = keys,
        }.Run(
        [
            .. Peers(session).Select(source => PutQuestions.Inserting(source, names)),
            Appending("bare append, memory touched for the first time", names, () => fresh!) with
            {
                Prepare = () =>
                {
                    GC.Collect();
                    fresh = new BareAppend(keys);
                },
                Finish = () => fresh = null,
            },
            Appending("bare append, memory that is warm", names, () => warm),
        ]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Overwrite(Session session, int keys)
    {
        var access = Workload.Uniform(keys, Math.Clamp(keys, 4096, 500_000));
        var value = Workload.Value(1);
        var bare = new BareAppend(keys);
        foreach (var key in Workload.Keys(keys))
        {
            bare.Put(key, value);
        }

        using var peers = new PeerSet(session, Peers(session), keys);
        new SideBySide($"floor/overwrite: {keys:N0} keys, uniform, against appending, marking the old record and writing a word", session).Run(
        [
            .. peers.Doing(access, (peer, part) =>
            {
                peer.PutAll(part, value);
                return part.Count;
            }),
            Appending("bare append, memory that is warm", access, () => bare) with { IsOnce = false },
        ]);
    }

    private static PeerSource[] Peers(Session session) =>
        session.Options.Select(PeerSource.InMemory.Where(source => source.Name is "KvStore" or SideBySide.ConcurrentDictionary));

    private static Contender Appending(string name, string[] keys, Func<BareAppend> target)
    {
        var value = Workload.Value(0);
        return new Contender(name, keys.Length, 1, range =>
        {
            var append = target();
            foreach (var key in keys.Part(range))
            {
                append.Put(key, value);
            }

            return append.Position;
        })
        {
            IsOnce = true,
        };
    }
}
