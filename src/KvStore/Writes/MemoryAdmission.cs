using KvStore.Keys;
using KvStore.Memory;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>Refuses puts that would exceed the budget for memory, once everything that can be freed was freed.</summary>
/// <remarks>
/// A put that makes an entry no larger is admitted also when the budget is used up: the record that it replaces is dead afterwards, and
/// its bytes come back. So is every delete.
/// Thread safety: all members, from any thread, while holding no lock.
/// </remarks>
internal sealed class MemoryAdmission(string name, ShardedStore store)
{
    /// <summary>Makes the check that the options require; null where memory is not limited.</summary>
    public static MemoryAdmission? For(string name, ShardedStore store) => store.HasBudget ? new MemoryAdmission(name, store) : null;

    /// <summary>Makes room for the record of a put, or refuses the put. Call before the record is drafted.</summary>
    /// <param name="key">The key.</param>
    /// <param name="metadataBytes">The length of the metadata.</param>
    /// <param name="valueBytes">The length of the value in memory.</param>
    /// <exception cref="KvException">The budget is used up (507). Nothing has changed.</exception>
    /// <exception cref="KvPersistenceException">Entries have to be evicted, and the provider takes no deletes.</exception>
    public void CheckPut<TKey>(in TKey key, int metadataBytes, int valueBytes)
        where TKey : struct, IKey, allows ref struct
    {
        try
        {
            if (store.TryMakeRoom(key, metadataBytes, valueBytes) || store.IsNoLargerThanPresent(key, metadataBytes, valueBytes))
            {
                return;
            }
        }
        catch (KvPersistenceException e)
        {
            // An eviction could not be written.
            throw NamedFailure.WithNames(e, "PUT", name, key);
        }

        throw Refusal(key, metadataBytes, valueBytes);
    }

    private KvException Refusal<TKey>(in TKey key, int metadataBytes, int valueBytes)
        where TKey : struct, IKey, allows ref struct
    {
        var utf8 = new byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        var bytes = utf8.Length + metadataBytes + valueBytes;
        return new KvException(
            507,
            "PUT",
            Invariant($"memory budget exceeded: the namespace {VisibleKey.Quote(name)} uses {store.MemoryBytes} bytes of memory, keeps {store.RemovedBytesToAdd} free to remember deletes, and may use {store.BudgetBytes}, which leaves no room for the key {VisibleKey.Quote(utf8.AsSpan())} with {bytes} bytes."));
    }
}
