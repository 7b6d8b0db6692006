using KvStore.Contract;

namespace KvStore.Tests.Contract;

/// <summary>A namespace in memory with a budget that is large enough never to evict anything.</summary>
public sealed class BudgetContractTests : KvNamespaceClockContract
{
    protected override ValueTask<IKvNamespace> OpenAsync() => new(KvNamespace.Create(
        "CONTRACT",
        new KvNamespaceOptions { TimeProvider = Clock, Memory = new KvMemoryOptions { BytesMax = 256L << 20, WhenFull = KvMemoryPolicy.Evict } }));
}
