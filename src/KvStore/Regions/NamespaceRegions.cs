using KvStore.Reads;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Writes;

namespace KvStore.Regions;

/// <summary>The regions of a replicated namespace, each with its reads.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class NamespaceRegions : IDisposable
{
    private readonly ReplicatedStore _replicated;
    private readonly KvRegion[] _regions;

    /// <param name="namespaceName">The name of the namespace.</param>
    /// <param name="replicated">The views of its regions.</param>
    /// <param name="home">The reads of its home region.</param>
    /// <param name="texts">The reads of text of its home region.</param>
    /// <param name="writes">The writes of the namespace.</param>
    public NamespaceRegions(string namespaceName, ReplicatedStore replicated, ReadPath home, TextReads texts, WritePath writes)
    {
        NamespaceName = namespaceName;
        _replicated = replicated;
        _regions =
        [
            .. from view in replicated.Views
               let reads = view == replicated.Home ? home : home.Of(view)
               select new KvRegion(this, view, reads, texts.Of(reads), writes),
        ];
        Replication = new KvReplication(replicated);
    }

    /// <summary>The name of the namespace.</summary>
    public string NamespaceName { get; }

    /// <summary>The deliveries between the regions.</summary>
    public KvReplication Replication { get; }

    /// <summary>The view of the home region.</summary>
    public RegionView Home => _replicated.Home;

    /// <summary>The exception for a namespace without regions that is used as if it had some.</summary>
    public static InvalidOperationException NotReplicated(string name) => new(
        $"The namespace {VisibleKey.Quote(name)} is not replicated; {nameof(KvNamespaceOptions)}.{nameof(KvNamespaceOptions.Replication)} names its regions.");

    /// <summary>A region by its name.</summary>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public KvRegion Of(string region)
    {
        var view = _replicated.Find(region);
        return Array.Find(_regions, other => other.View == view)!;
    }

    /// <summary>Every later read in a region throws <see cref="ObjectDisposedException"/>.</summary>
    public void Close()
    {
        foreach (var region in _regions)
        {
            region.Reads.Close();
        }
    }

    /// <summary>Stops replication.</summary>
    public void Dispose() => _replicated.Dispose();
}
