using KvStore.Prefixes;
using KvStore.Regions;

namespace KvStore;

/// <summary>Regions of a namespace that is known by its interface, as a namespace from a container is.</summary>
public static class KvRegionExtensions
{
    extension(IKvNamespace kv)
    {
        /// <summary>
        /// The deliveries between the regions of the namespace; null when it has no regions. From a region's view this is the same
        /// object. See <see cref="KvNamespace.Replication"/>.
        /// </summary>
        public KvReplication? Replication
        {
            get
            {
                ArgumentNullException.ThrowIfNull(kv);
                return RegionsOf(kv)?.Replication;
            }
        }

        /// <summary>The same namespace as a region sees it. See <see cref="KvNamespace.InRegion"/>.</summary>
        /// <param name="region">The name of the region.</param>
        /// <returns>The view. It lives as long as the namespace.</returns>
        /// <exception cref="ArgumentException">There is no such region.</exception>
        /// <exception cref="InvalidOperationException">The namespace has no regions.</exception>
        public IKvNamespace InRegion(string region)
        {
            ArgumentNullException.ThrowIfNull(kv);
            if (kv is PrefixedNamespace view)
            {
                return new PrefixedNamespace(view.Inner.InRegion(region), view.Prefix);
            }

            return RegionsOf(kv)?.Of(region) ?? throw NamespaceRegions.NotReplicated(kv.Name);
        }
    }

    private static NamespaceRegions? RegionsOf(IKvNamespace kv) => kv switch
    {
        KvNamespace local => local.Regions,
        KvRegion region => region.Regions,
        PrefixedNamespace view => RegionsOf(view.Inner),
        _ => null,
    };
}
