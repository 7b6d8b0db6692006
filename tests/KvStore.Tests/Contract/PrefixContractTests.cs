using System.Text;
using KvStore.Contract;

namespace KvStore.Tests.Contract;

/// <summary>A view with a prefix, between entries of others, in a namespace whose keys are longer by the prefix.</summary>
public sealed class PrefixContractTests : KvNamespaceClockContract
{
    private const string Prefix = "tenant/é/";
    private KvNamespace? _namespace;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        (await _namespace!.GetTextAsync("tenant/é")).Should().Be("before");
        (await _namespace!.GetTextAsync("tenant/é0")).Should().Be("after");
        (await _namespace!.ListAllAsync().Select(key => key.Name).ToListAsync())
            .Should().OnlyContain(key => key.StartsWith(Prefix) || key == "tenant/é" || key == "tenant/é0");
        await _namespace!.DisposeAsync();
    }

    protected override async ValueTask<IKvNamespace> OpenAsync()
    {
        _namespace = KvNamespace.Create("CONTRACT", new KvNamespaceOptions
        {
            TimeProvider = Clock,
            Limits = new KvLimits { KeyBytesMax = 512 + Encoding.UTF8.GetByteCount(Prefix) },
        });
        await _namespace.PutAsync("tenant/é", "before");
        await _namespace.PutAsync("tenant/é0", "after");
        return _namespace.WithPrefix("tenant/").WithPrefix("é/");
    }
}

/// <summary>A view with a prefix of a region.</summary>
public sealed class RegionPrefixContractTests : KvNamespaceClockContract
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
            Limits = new KvLimits { KeyBytesMax = 513 },
            Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"], HomeRegion = "jnb", Lag = KvLag.Fixed(TimeSpan.FromSeconds(20)) },
        });
        return new(((IKvNamespace)_namespace).WithPrefix("p").InRegion("lhr"));
    }
}
