using KvStore.Contract;

namespace KvStore.Tests.Contract;

/// <summary>A region that is not the home of its namespace, and sees its own writes at once.</summary>
public sealed class RegionContractTests : KvNamespaceClockContract
{
    private KvNamespace? _namespace;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _namespace!.DisposeAsync();
    }

    protected override ValueTask<IKvNamespace> OpenAsync()
    {
        _namespace = KvNamespace.Create("CONTRACT", new KvNamespaceOptions
        {
            TimeProvider = Clock,
            Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"], HomeRegion = "jnb", Lag = KvLag.Fixed(TimeSpan.FromSeconds(20)) },
        });
        return new(_namespace.InRegion("lhr"));
    }
}
