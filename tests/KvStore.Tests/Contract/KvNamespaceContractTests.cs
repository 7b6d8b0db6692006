using KvStore.Contract;

namespace KvStore.Tests.Contract;

/// <summary>A namespace in memory, under a clock that the test moves.</summary>
public sealed class KvNamespaceContractTests : KvNamespaceClockContract
{
    protected override ValueTask<IKvNamespace> OpenAsync() =>
        new(KvNamespace.Create("CONTRACT", new KvNamespaceOptions { TimeProvider = Clock }));
}
