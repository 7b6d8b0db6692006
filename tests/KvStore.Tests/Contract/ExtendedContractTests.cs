using KvStore.TestKit.Persistence;

namespace KvStore.Tests.Contract;

/// <summary>A namespace in memory.</summary>
public sealed class ExtendedInMemoryTests : KvExtendedNamespaceContract
{
    protected override ValueTask<KvNamespace> OpenAsync() =>
        new(KvNamespace.Create("CONTRACT", new KvNamespaceOptions { TimeProvider = Clock }));
}

/// <summary>A namespace in a directory, that acknowledges a write when it is on the disk.</summary>
public sealed class ExtendedOnDiskTests : KvExtendedNamespaceContract
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-extended-").FullName;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    protected override ValueTask<KvNamespace> OpenAsync() => KvNamespace.OpenAsync("CONTRACT", new KvNamespaceOptions
    {
        TimeProvider = Clock,
        Persistence = new FilePersistence(_directory, new FilePersistenceOptions { LargeValueBytes = 8 * 1024 }),
    });
}

/// <summary>A namespace in a directory, that acknowledges a write before it is on the disk.</summary>
public sealed class ExtendedBufferedTests : KvExtendedNamespaceContract
{
    private readonly SimulatedDisk _disk = new();

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        _disk.Dispose();
    }

    protected override ValueTask<KvNamespace> OpenAsync() => KvNamespace.OpenAsync("CONTRACT", new KvNamespaceOptions
    {
        TimeProvider = Clock,
        Persistence = new FilePersistence(
            "disk", new FilePersistenceOptions { Durability = Durability.Buffered, LargeValueBytes = 8 * 1024 }, _ => _disk),
    });
}

/// <summary>The home region of a namespace whose other region sees everything late.</summary>
public sealed class ExtendedHomeRegionTests : KvExtendedNamespaceContract
{
    protected override ValueTask<KvNamespace> OpenAsync() => new(KvNamespace.Create("CONTRACT", new KvNamespaceOptions
    {
        TimeProvider = Clock,
        Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"], HomeRegion = "jnb", Lag = KvLag.Fixed(TimeSpan.FromSeconds(20)) },
    }));
}

/// <summary>A namespace that counts its keys and bytes against a limit.</summary>
public sealed class ExtendedLimitedTests : KvExtendedNamespaceContract
{
    protected override ValueTask<KvNamespace> OpenAsync() => new(KvNamespace.Create("CONTRACT", new KvNamespaceOptions
    {
        TimeProvider = Clock,
        Limits = new KvLimits { NamespaceKeysMax = 100_000, NamespaceBytesMax = 1L << 30 },
    }));
}
