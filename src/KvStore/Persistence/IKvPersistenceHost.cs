using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>The namespace as its persistence provider sees it: it takes recovered mutations, and shows live entries.</summary>
public interface IKvPersistenceHost
{
    /// <summary>Every clock and every timer.</summary>
    TimeProvider TimeProvider { get; }

    /// <summary>Makes the loggers for background work; null when nothing is logged.</summary>
    ILoggerFactory? LoggerFactory { get; }

    /// <summary>The number of live entries, about.</summary>
    long LiveEntries { get; }

    /// <summary>The bytes of all live keys, metadata and values, about; large values not counted.</summary>
    long LiveBytes { get; }

    /// <summary>Called once before the first <see cref="Recover"/> with the most that will be recovered, so that memory can be taken ahead.</summary>
    /// <param name="mutations">The number of mutations, at most.</param>
    /// <param name="bytes">The bytes of their keys, metadata and values, at most.</param>
    void Prepare(long mutations, long bytes);

    /// <summary>
    /// Takes one recovered mutation. Call it while the provider opens, from any number of threads and in any order: of all mutations of
    /// a key, the one with the highest revision wins. A delete is remembered until the opening has ended, so that an older put that
    /// arrives later loses. Pass a put that has expired as a delete.
    /// </summary>
    /// <param name="mutation">The mutation; its memory is reused when the call returns.</param>
    void Recover(in KvMutation mutation);

    /// <summary>
    /// Takes a touch that was kept without the value of its entry: see <see cref="KvMutation.TouchedRevision"/>. Call it while the
    /// provider opens, after all puts and deletes were recovered, by one thread at a time, and only with the touch of a key that has the
    /// highest revision. It does nothing when the key was deleted, or put after it was touched. Pass a touch whose deadline has passed to
    /// <see cref="Recover"/> as a delete. A put that has expired, and that a later touch has not, is passed with the deadline of the touch.
    /// </summary>
    /// <param name="mutation">The touch; its value and metadata are not used.</param>
    /// <exception cref="NotSupportedException">The host takes whole entries only.</exception>
    void RecoverTouch(in KvMutation mutation) =>
        throw new NotSupportedException($"{GetType().Name} recovers whole entries only.");

    /// <summary>Whether the present entry of a key was made by this revision. Call it while the provider opens, after everything was recovered.</summary>
    /// <param name="key">The key in UTF-8.</param>
    /// <param name="revision">The revision.</param>
    /// <returns>Whether it is the current one.</returns>
    bool IsCurrent(ReadOnlySpan<byte> key, long revision);

    /// <summary>
    /// Whether the host has a budget for memory, which remembering deletes would take up. Then call <see cref="RecoverInOrder"/> as early
    /// as possible.
    /// </summary>
    bool NeedsOrder => false;

    /// <summary>
    /// Says that the mutations that follow are passed by one thread, and each key's in the order of their revisions, so that deletes need
    /// not be remembered. No other thread may pass mutations any more.
    /// </summary>
    void RecoverInOrder()
    {
    }

    /// <summary>
    /// Whether some of the recovered mutations were left out because the namespace has a budget for memory and evicts. Then the log
    /// may refer to values that no entry refers to: remove no large value that was there before, until the next opening. The namespace
    /// calls <see cref="IKvPersistence.CompactAsync"/> once it is open. Ask after everything was recovered.
    /// </summary>
    bool HasEvicted => false;

    /// <summary>
    /// Shows every live entry as a put. First waits until every mutation up to a revision that has been appended
    /// successfully is visible; mutations after it may or may not be among those shown.
    /// </summary>
    /// <param name="throughRevision">The revision.</param>
    /// <param name="write">Is called with each entry, by one thread at a time.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    /// <returns>A task that completes when every entry was shown.</returns>
    ValueTask WriteLiveAsync(long throughRevision, KvMutationHandler write, CancellationToken cancellationToken);
}
