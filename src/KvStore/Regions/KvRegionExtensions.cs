using KvStore.Regions;

namespace KvStore;

/// <summary>Regions of a namespace that is known by its interface, as one from a container is.</summary>
public static class KvRegionExtensions
{
    /// <summary>The same namespace as a region sees it. See <see cref="KvNamespace.InRegion"/>.</summary>
    /// <param name="kv">The namespace, or its view from another region.</param>
    /// <param name="region">The name of the region.</param>
    /// <returns>The view.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    /// <exception cref="InvalidOperationException">The namespace is not replicated.</exception>
    public static IKvNamespace InRegion(this IKvNamespace kv, string region) => RegionsOf(kv).Of(region);

    /// <summary>What is on its way between the regions of a namespace.</summary>
    /// <param name="kv">The namespace, or its view from a region.</param>
    /// <returns>The same as <see cref="KvNamespace.Replication"/>.</returns>
    /// <exception cref="InvalidOperationException">The namespace is not replicated.</exception>
    public static KvReplication GetReplication(this IKvNamespace kv) => RegionsOf(kv).Replication;

    private static NamespaceRegions RegionsOf(IKvNamespace kv)
    {
        ArgumentNullException.ThrowIfNull(kv);
        return ((kv as KvRegion)?.Regions ?? (kv as KvNamespace)?.Regions) ?? throw KvReplicationOptions.NotReplicated(kv.Name);
    }
}
