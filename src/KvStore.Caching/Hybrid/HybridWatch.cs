using KvStore.Failures;
using Microsoft.Extensions.Logging;

namespace KvStore.Hybrid;

/// <summary>Watches the entries of the cache: keeps the index of tags, and drops what is known in memory of entries that have changed.</summary>
/// <remarks>
/// A read does not depend on it: it compares revisions. The watch frees the memory of objects whose entries were removed, expired or evicted, and
/// finds the tags of entries from before a restart.
/// </remarks>
internal sealed class HybridWatch : IDisposable
{
    private readonly HybridStore _store;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();

    /// <param name="store">The entries.</param>
    /// <param name="logger">The log.</param>
    public HybridWatch(HybridStore store, ILogger logger)
    {
        _store = store;
        _logger = logger;
    }

    /// <summary>Completes when the watch has ended.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    /// <summary>Begins. Every change after this call is noted.</summary>
    public void Start()
    {
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

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
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
