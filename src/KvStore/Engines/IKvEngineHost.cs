using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>The replica of a namespace in this process, as its <see cref="IKvEngine"/> sees it.</summary>
/// <remarks>
/// Thread safety: all members, from any thread. Each key may be passed in any order and again: the highest revision wins.
/// </remarks>
public interface IKvEngineHost
{
    /// <summary>The name of the namespace.</summary>
    string Name { get; }

    /// <summary>Every clock and every timer.</summary>
    TimeProvider TimeProvider { get; }

    /// <summary>Makes loggers; null when nothing is logged.</summary>
    ILoggerFactory? LoggerFactory { get; }

    /// <summary>What the namespace accepts.</summary>
    KvLimits Limits { get; }

    /// <summary>The number of live entries, about.</summary>
    long LiveEntries { get; }

    /// <summary>Takes memory ahead for so many entries.</summary>
    /// <param name="entries">The number of entries.</param>
    void Prepare(long entries);

    /// <summary>
    /// Applies a mutation that the engine has committed, unless the key has a newer one. It is visible after the next
    /// <see cref="Publish"/> at the latest. Watchers are shown a delete also when the put before it was never passed on.
    /// </summary>
    /// <param name="mutation">The mutation, with the revision that the engine gave. Its memory is reused when the call returns.</param>
    void Apply(in KvMutation mutation);

    /// <summary>Makes everything visible that was applied.</summary>
    void Publish();

    /// <summary>The revision of the entry or of the remembered delete that a key has in memory; 0 for neither.</summary>
    /// <param name="key">The key in UTF-8.</param>
    /// <returns>The revision.</returns>
    long RevisionOf(ReadOnlySpan<byte> key);

    /// <summary>Lists the entries in memory in the order of the bytes of their keys.</summary>
    /// <param name="after">The key after which to go on; empty to begin.</param>
    /// <param name="entries">Receives the entries.</param>
    /// <returns>How many there are; fewer than there is room for only at the end.</returns>
    int List(ReadOnlySpan<byte> after, Span<KvEngineEntry> entries);

    /// <summary>
    /// Begins a replacement of the state, or of a part of it, that readers see at one moment: none sees a part of it in one list, in one get
    /// of many keys or in gets that follow each other.
    /// </summary>
    /// <returns>The replacement, to be filled, completed and disposed. Not thread-safe.</returns>
    IKvEngineSwap BeginSwap();

    /// <summary>
    /// Removes the entry of a key that the engine does not have any more and whose delete is not known. Watchers are shown a delete.
    /// </summary>
    /// <param name="key">The key in UTF-8.</param>
    /// <param name="throughRevision">An entry with a higher revision stays.</param>
    void Remove(ReadOnlySpan<byte> key, long throughRevision);

    /// <summary>
    /// Lets the namespace forget the deletes up to a revision once the writes that are being committed now are published. Requires: no
    /// mutation that <see cref="Apply"/> passes from now on was read from the engine before this call.
    /// </summary>
    /// <param name="throughRevision">The highest revision that the engine was seen to give.</param>
    void ForgetDeletes(long throughRevision);

    /// <summary>Refuses every read with an exception (503), or serves reads again.</summary>
    /// <param name="reason">Why reads are refused; null to serve them.</param>
    void RefuseReads(string? reason);
}

/// <summary>Mutations and removals that become visible at one moment. They are kept beside the served state until then.</summary>
/// <remarks>
/// Here too the highest revision of a key wins: writes that are published meanwhile stay when theirs is higher. Not thread-safe. Disposing
/// it forgets what was added and not completed.
/// </remarks>
public interface IKvEngineSwap : IDisposable
{
    /// <summary>Adds a mutation that the engine has committed.</summary>
    /// <param name="mutation">The mutation, with the revision that the engine gave. Its memory is reused when the call returns.</param>
    void Apply(in KvMutation mutation);

    /// <summary>Adds the removal of a key: see <see cref="IKvEngineHost.Remove"/>.</summary>
    /// <param name="key">The key in UTF-8.</param>
    /// <param name="throughRevision">An entry with a higher revision stays.</param>
    void Remove(ReadOnlySpan<byte> key, long throughRevision);

    /// <summary>
    /// Makes everything visible. Watchers are shown the differences. Reads of one key wait for the last step, in which the tables of the changed
    /// shards are exchanged; writes and some lists wait while the new tables are built.
    /// </summary>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    void Complete();
}

/// <summary>The key and the revision of an entry in memory.</summary>
/// <param name="Key">The key in UTF-8.</param>
/// <param name="Revision">The revision of the entry.</param>
public readonly record struct KvEngineEntry(ReadOnlyMemory<byte> Key, long Revision);
