using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>The stores of one question: those of this machine, filled with equal entries, and those that are missing.</summary>
internal sealed class PeerSet : IDisposable
{
    /// <summary>The number of measured accesses of a database, each of which takes microseconds.</summary>
    public const int DatabaseAccesses = 20_000;

    public PeerSet(Session session, IEnumerable<PeerSource> sources, int keys)
    {
        var selected = session.Options.Select(sources);
        Missing = [.. selected.Where(source => source.Create is null)];
        foreach (var source in selected)
        {
            if (source.Create is { } create)
            {
                session.Progress.Show(0, $"filling {source.Name}");
                var peer = create();
                peer.Fill(0, keys);
                Present.Add((source, peer));
            }
        }
    }

    public List<(PeerSource Source, Peer Peer)> Present { get; } = [];

    public PeerSource[] Missing { get; }

    /// <summary>The store under test, unless it was left out.</summary>
    public KvStorePeer? KvStore => Present.Select(entry => entry.Peer).OfType<KvStorePeer>().FirstOrDefault();

    /// <summary>One contender for each store, with one operation on all keys of a sequence.</summary>
    public IEnumerable<Contender> Doing(string[] access, Func<Peer, ArraySegment<string>, int> work) =>
        Present.Select(entry => new Contender(
            entry.Source.Name,
            entry.Source.IsDatabase ? Math.Min(access.Length, DatabaseAccesses) : access.Length,
            1,
            range => work(entry.Peer, access.Part(range)))
        {
            IsSlow = entry.Source.IsDatabase,
        });

    public void Dispose()
    {
        foreach (var (_, peer) in Present)
        {
            peer.Dispose();
        }

        Present.Clear();
    }
}
