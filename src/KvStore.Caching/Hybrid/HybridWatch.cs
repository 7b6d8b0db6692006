using System.Diagnostics;
using KvStore.Failures;
using Microsoft.Extensions.Logging;

namespace KvStore.Hybrid;

/// <summary>Watches the entries of the cache: keeps the index of tags, and drops what is known in memory of entries that have changed.</summary>
/// <remarks>
/// <para>A read does not depend on it: it compares revisions. Where the namespace cannot be observed, the watch frees the memory of objects whose
/// entries were removed, expired or evicted. It finds the tags of entries from before a restart and of other writers.</para>
/// <para>It begins with the first tag where the namespace is observed, because without tags it would do nothing there for each write.</para>
/// </remarks>
internal sealed class HybridWatch : IDisposable
{
    private readonly HybridStore _store;
    private readonly ILogger _logger;
    private readonly Lock _starting = new();
    private readonly CancellationTokenSource _stopping = new();
    private volatile bool _isStarted;
    private bool _isDisposed;

    /// <param name="store">The entries.</param>
    /// <param name="logger">The log.</param>
    public HybridWatch(HybridStore store, ILogger logger)
    {
        _store = store;
        _logger = logger;
    }

    /// <summary>Whether it has begun.</summary>
    public bool IsStarted => _isStarted;

    /// <summary>Completes when the watch has ended.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    /// <summary>Begins, the first time. Every change after this call is noted.</summary>
    public void Start()
    {
        if (!_isStarted)
        {
            lock (_starting)
            {
                if (!_isStarted && !_isDisposed)
                {
                    StartHoldingLock();
                    _isStarted = true;
                }
            }
        }
    }

    public void Dispose()
    {
        lock (_starting)
        {
            _isDisposed = true;
            _stopping.Cancel();
            _stopping.Dispose();
        }
    }

    private void StartHoldingLock()
    {
        Debug.Assert(_starting.IsHeldByCurrentThread);
        var options = new KvWatchOptions { Prefix = _store.Keys.Prefix, Start = KvWatchStart.Current };

        // The first caller's context, for example its trace, is not that of the watch.
        using (ExecutionContext.SuppressFlow())
        {
            // The watch begins with this call. What is there already is read in the background.
            var changes = _store.Namespace.WatchAsync(options, _stopping.Token).GetAsyncEnumerator(CancellationToken.None);
            var first = changes.MoveNextAsync().AsTask();
            Ended = Task.Run(() => RunAsync(changes, first));
        }
    }

    private async Task RunAsync(IAsyncEnumerator<KvChange> changes, Task<bool> first)
    {
        try
        {
            await using (changes.ConfigureAwait(false))
            {
                for (var isThere = await first.ConfigureAwait(false); isThere; isThere = await changes.MoveNextAsync().ConfigureAwait(false))
                {
                    await NoteAsync(changes.Current).ConfigureAwait(false);
                    _store.Tags.NoteShownThrough(changes.Current.Revision);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The cache or the namespace is disposed.
        }
        catch (Exception e)
        {
            _logger.WatchFailed(_store.Namespace.Name, e);
        }

        // What happens from now on is not noted.
        _store.Tags.Forget();
    }

    private async ValueTask NoteAsync(KvChange change)
    {
        switch (change.Kind)
        {
            case KvChangeKind.Put:
                using (var value = change.Value)
                {
                    _store.Tags.NoteShown(change.Key, await TagsOfAsync(value).ConfigureAwait(false));
                    Forget(change.Key, value.Revision);
                }

                break;
            case KvChangeKind.Current:
                _store.Tags.Complete();
                break;
            case KvChangeKind.Reset:
                _store.Tags.Forget();
                _store.Entries.Clear();
                break;
            default:
                _store.Tags.NoteShown(change.Key, []);
                Forget(change.Key, change.Revision);
                break;
        }
    }

    private void Forget(string storeKey, long olderThan)
    {
        if (!_store.IsObserved && _store.Keys.TryDecode(storeKey, out var key))
        {
            _store.Entries.RemoveOlder(key, olderThan);
        }

        _store.Unhide(storeKey, olderThan);
    }

    /// <summary>The tags of an entry. Waits only where they are in a file.</summary>
    private static async ValueTask<string[]> TagsOfAsync(KvValue value)
    {
        var header = HybridStore.HeaderOf(value);
        if (header.TagBytes == 0)
        {
            return header.Tags;
        }

        try
        {
            return header.TagsIn((await value.ReadBytesAsync().ConfigureAwait(false)).Span);
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            // The entry was replaced meanwhile, and its key is shown again; or it cannot be read by callers either.
            return [];
        }
    }
}
