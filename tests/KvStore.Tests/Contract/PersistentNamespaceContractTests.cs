using KvStore.Contract;

namespace KvStore.Tests.Contract;

/// <summary>A namespace in a directory, that acknowledges a put when it is on the disk.</summary>
public sealed class PersistentNamespaceContractTests : KvNamespaceClockContract
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-contract-").FullName;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    protected override async ValueTask<IKvNamespace> OpenAsync() => await KvNamespace.OpenAsync(
        "CONTRACT", new KvNamespaceOptions { TimeProvider = Clock, Persistence = new FilePersistence(_directory) });
}
