namespace KvStore.Tests.Contract;

/// <summary>In memory.</summary>
public sealed class ExtendedMemoryContractTests : KvExtendedNamespaceContract
{
    protected override ValueTask<KvNamespace> OpenAsync() =>
        new(KvNamespace.Create("EXTENDED", new KvNamespaceOptions { TimeProvider = Clock }));
}

/// <summary>In memory, with limits that every write is checked against.</summary>
public sealed class ExtendedLimitedMemoryContractTests : KvExtendedNamespaceContract
{
    protected override ValueTask<KvNamespace> OpenAsync() => new(KvNamespace.Create("EXTENDED", new KvNamespaceOptions
    {
        TimeProvider = Clock,
        Limits = new KvLimits { NamespaceKeysMax = 1_000_000, NamespaceBytesMax = 1L << 30 },
    }));
}

/// <summary>In memory, where every write also goes to a region that lags.</summary>
public sealed class ExtendedRegionsContractTests : KvExtendedNamespaceContract
{
    protected override ValueTask<KvNamespace> OpenAsync() => new(KvNamespace.Create("EXTENDED", new KvNamespaceOptions
    {
        TimeProvider = Clock,
        Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"], HomeRegion = "jnb", Lag = KvLag.Fixed(TimeSpan.FromSeconds(20)) },
    }));
}

/// <summary>In a directory. The files are small, so that logs roll and are compacted.</summary>
public abstract class ExtendedDiskContract(Durability durability, bool hasRegions = false) : KvExtendedNamespaceContract
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-extended-").FullName;

    protected override bool Persists => true;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    protected override ValueTask<KvNamespace> OpenAsync() => KvNamespace.OpenAsync("EXTENDED", new KvNamespaceOptions
    {
        TimeProvider = Clock,
        Persistence = new FilePersistence(_directory, new FilePersistenceOptions
        {
            Durability = durability,
            LogFileBytes = 64 * 1024,
            CompactionBytesMin = 128 * 1024,
        }),
        Replication = hasRegions
            ? new KvReplicationOptions { Regions = ["jnb", "lhr"], HomeRegion = "jnb", Lag = KvLag.Fixed(TimeSpan.FromSeconds(20)) }
            : null,
    });
}

/// <summary>A write completes when it is on the disk.</summary>
public sealed class ExtendedImmediateContractTests() : ExtendedDiskContract(Durability.Immediate);

/// <summary>A write completes at once, and is on the disk soon.</summary>
public sealed class ExtendedIntervalContractTests() : ExtendedDiskContract(Durability.Interval);

/// <summary>On a disk, and with regions.</summary>
public sealed class ExtendedDiskRegionsContractTests() : ExtendedDiskContract(Durability.Immediate, hasRegions: true);
