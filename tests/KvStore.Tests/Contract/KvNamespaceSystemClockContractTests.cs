using KvStore.Contract;

namespace KvStore.Tests.Contract;

/// <summary>A namespace in memory as most programs have it: with the clock of the system.</summary>
public sealed class KvNamespaceSystemClockContractTests : KvNamespaceContract
{
    protected override ValueTask<IKvNamespace> OpenAsync() => new(KvNamespace.Create("CONTRACT"));
}
