namespace KvStore.CrashTests.Contract;

/// <summary>On a directory of this machine, with small files so that logs roll and are compacted all the time.</summary>
public abstract class ContractOfFiles(Durability durability) : PersistenceContract
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-contract-").FullName;

    protected override IKvPersistence Create() => OnDirectory("store");

    protected override IKvPersistence CreateOnSnapshot(string name) => OnDirectory(name);

    protected override string SnapshotDirectory(string name) => Path.Combine(_root, name);

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    private FilePersistence OnDirectory(string name) => new(Path.Combine(_root, name), new FilePersistenceOptions
    {
        Durability = durability,
        LogFileBytes = 16 * 1024,
        CompactionBytesMin = 32 * 1024,
        LargeValueBytes = 1024,
    });
}

public sealed class ContractOfImmediateFiles() : ContractOfFiles(Durability.Immediate);

public sealed class ContractOfIntervalFiles() : ContractOfFiles(Durability.Interval);

public sealed class ContractOfBufferedFiles() : ContractOfFiles(Durability.Buffered);
