using KvStore.Contract;

namespace KvStore.Tests.Contract;

/// <summary>The model that namespaces are compared with keeps the contract itself.</summary>
public sealed class ReferenceStoreContractTests : KvNamespaceClockContract
{
    protected override ValueTask<IKvNamespace> OpenAsync() => new(new ReferenceStore("CONTRACT", Clock));
}
