using System.Diagnostics.CodeAnalysis;

namespace KvStore.CrashTests.Contract;

[SuppressMessage("Design", "CA1001", Justification = "The contract disposes what it opened.")]
public sealed class ContractOfMemory : PersistenceContract
{
    private readonly MemoryPersistence _memory = new();

    protected override IKvPersistence Create() => _memory;

    protected override IKvPersistence CreateOnSnapshot(string name) => _memory.CopyAt(name);
}
