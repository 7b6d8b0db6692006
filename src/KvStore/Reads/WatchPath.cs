using System.Runtime.CompilerServices;
using KvStore.Memory;
using KvStore.Rules;
using KvStore.Watching;

namespace KvStore.Reads;

/// <summary>Checks what is to be watched, and watches it.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
/// <param name="name">The name of the namespace.</param>
/// <param name="limits">Its limits.</param>
/// <param name="store">Its newest state.</param>
/// <param name="reads">Its reads.</param>
/// <param name="whenSettledAsync">Completes when every mutation up to a revision that was appended is visible, or has failed.</param>
internal sealed class WatchPath(string name, KvLimits limits, ShardedStore store, ReadPath reads, Func<long, Task> whenSettledAsync)
{
    private const string Operation = "WATCH";

    /// <summary>See <see cref="IKvExtendedNamespace.WatchAsync"/>.</summary>
    public IAsyncEnumerable<KvChange> WatchAsync(KvWatchOptions? options, CancellationToken cancellationToken)
    {
        options ??= new KvWatchOptions();
        reads.ThrowIfClosed();
        Check(options);
        return RunAsync(KeysOf(options), options.Start, options.AfterRevision, cancellationToken);
    }

    /// <summary>See <see cref="KvNamespace.ObserveChanges"/>.</summary>
    public IDisposable Observe(KvChangeCallback callback, string prefix)
    {
        reads.ThrowIfClosed();
        var observer = new ChangeCallback(store.Changes, KeysOf(new KvWatchOptions { Prefix = prefix }), callback);
        return store.Changes.TryAdd(observer) ? observer : throw DisposedNamespace.Exception(name);
    }

    private static void Check(KvWatchOptions options)
    {
        if (options.Prefix is not null && options.Key is not null)
        {
            throw new ArgumentException(
                $"{nameof(KvWatchOptions.Prefix)} and {nameof(KvWatchOptions.Key)} of {nameof(KvWatchOptions)} are both set; a watch is of one key or of one prefix.",
                nameof(options));
        }

        if (options.Start is not (KvWatchStart.Now or KvWatchStart.Current))
        {
            throw OutOfRange.Exception(
                nameof(options), (int)options.Start, Invariant($"{nameof(KvWatchOptions.Start)} is {(int)options.Start}; it must be {nameof(KvWatchStart.Now)} or {nameof(KvWatchStart.Current)}."));
        }

        if (options.AfterRevision is not { } after)
        {
            return;
        }

        if (after < 0)
        {
            throw OutOfRange.Exception(
                nameof(options), after, Invariant($"{nameof(KvWatchOptions.AfterRevision)} is {after}; it must be at least 0."));
        }

        if (options.Start != KvWatchStart.Now)
        {
            throw new ArgumentException(
                $"{nameof(KvWatchOptions.AfterRevision)} and {nameof(KvWatchOptions.Start)} of {nameof(KvWatchOptions)} are both set; a watch goes on after a revision, or begins with what is there.",
                nameof(options));
        }
    }

    private WatchedKeys KeysOf(KvWatchOptions options)
    {
        if (options.Key is { } key)
        {
            using var encoded = new EncodedKey(key, limits.KeyBytesMax, Operation, stackalloc byte[EncodedKey.StackBytes]);
            return new WatchedKeys(encoded.Key.Bytes.ToArray(), IsOneKey: true);
        }

        return new WatchedKeys(KeyRules.EncodePrefix(options.Prefix ?? "", limits.KeyBytesMax, Operation), IsOneKey: false);
    }

    private async IAsyncEnumerable<KvChange> RunAsync(
        WatchedKeys keys, KvWatchStart start, long? afterRevision, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var watcher = new Watcher(keys);
        if (!store.Changes.TryAdd(watcher))
        {
            throw DisposedNamespace.Exception(name);
        }

        try
        {
            var reader = new ChangeReader(store, reads, whenSettledAsync, watcher);
            await reader.BeginAsync(start, afterRevision, cancellationToken).ConfigureAwait(false);
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                while (reader.TryNext(out var change))
                {
                    yield return change;
                    cancellationToken.ThrowIfCancellationRequested();
                }
            }
        }
        finally
        {
            store.Changes.Remove(watcher);
        }
    }
}
