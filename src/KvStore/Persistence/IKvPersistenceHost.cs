using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>The state behind a persistence provider: it takes what is recovered, and shows what is live.</summary>
public interface IKvPersistenceHost
{
    /// <summary>Every clock and every timer.</summary>
    TimeProvider TimeProvider { get; }

    /// <summary>Where background work reports; null for nowhere.</summary>
    ILoggerFactory? LoggerFactory { get; }

    /// <summary>The number of live entries, about.</summary>
    long LiveEntries { get; }

    /// <summary>The bytes of all live keys, metadata and values, about; large values not counted.</summary>
    long LiveBytes { get; }

    /// <summary>Called once before the first <see cref="Recover"/>: how much will come at most, so that room can be made ahead.</summary>
    /// <param name="mutations">The number of mutations, at most.</param>
    /// <param name="bytes">The bytes of their keys, metadata and values, at most.</param>
    void Prepare(long mutations, long bytes);

    /// <summary>
    /// Takes one recovered mutation. Called while the provider opens, from several threads at once and in any order: of all
    /// mutations of a key, the one with the highest revision counts. A delete is remembered until the opening has ended, so
    /// that an older put that arrives later loses. What has expired arrives as a delete.
    /// </summary>
    /// <param name="mutation">The mutation; its memory is reused when the call returns.</param>
    void Recover(in KvMutation mutation);

    /// <summary>Whether the entry that now stands under a key was made by this revision. Asked while the provider opens, after everything was recovered.</summary>
    /// <param name="key">The key in UTF-8.</param>
    /// <param name="revision">The revision.</param>
    /// <returns>Whether it is the current one.</returns>
    bool IsCurrent(ReadOnlySpan<byte> key, long revision);

    /// <summary>
    /// Shows every live entry as a put. First waits until every mutation up to a revision that has been appended
    /// successfully is visible; mutations after it may or may not be among those shown.
    /// </summary>
    /// <param name="throughRevision">The revision.</param>
    /// <param name="write">Called with each entry, by one thread at a time.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    /// <returns>A task that completes when every entry was shown.</returns>
    ValueTask WriteLiveAsync(long throughRevision, KvMutationHandler write, CancellationToken cancellationToken);
}
