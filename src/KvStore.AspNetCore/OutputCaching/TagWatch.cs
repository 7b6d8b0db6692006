using System.Diagnostics;

namespace KvStore.OutputCaching;

/// <summary>Makes the index of tags from the pages that the namespace has, and keeps it right while pages come and go.</summary>
/// <remarks>
/// The namespace is read when the first tag is stored or evicted. Afterwards its watch shows which entries have expired, were evicted, or
/// were changed by others. Thread safety: all members, from any thread.
/// </remarks>
/// <param name="kv">Resolves the namespace.</param>
/// <param name="prefix">What the keys of the pages begin with.</param>
internal sealed class TagWatch(Func<IKvExtendedNamespace> kv, string prefix) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stop = new();
    private Task<TagIndex>? _loading;
    private volatile TagIndex? _index;

    /// <summary>The index; null when it was not loaded yet.</summary>
    public TagIndex? Index => _index;

    /// <summary>Loads the index, or returns the task that does.</summary>
    public Task<TagIndex> LoadAsync()
    {
        lock (_lock)
        {
            if (_loading is null)
            {
                ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
                var loaded = new TaskCompletionSource<TagIndex>(TaskCreationOptions.RunContinuationsAsynchronously);
                _loading = loaded.Task;
                _ = Task.Run(() => WatchAsync(loaded));
            }

            return _loading;
        }
    }

    /// <summary>Looks which page the store has for a key, and notes it in the index.</summary>
    public async ValueTask SettleAsync(TagIndex index, string key)
    {
        while (index.TryBeginSettling(key, out var version))
        {
            long number;
            string[] tags;
            try
            {
                using var value = await kv().GetAsync(key).ConfigureAwait(false);
                (number, tags) = await StoredTags.ReadAsync(value).ConfigureAwait(false);
            }
            catch (Exception e) when (StoreFailure.Is(e))
            {
                // The page keeps all tags that it may have, and each is compared with the entry before it is deleted.
                return;
            }

            if (index.TrySettle(key, version, number, tags))
            {
                return;
            }
        }
    }

    public void Dispose() => _stop.Cancel();

    private async Task WatchAsync(TaskCompletionSource<TagIndex> loaded)
    {
        var index = new TagIndex();
        try
        {
            var options = new KvWatchOptions { Prefix = prefix.Length == 0 ? null : prefix, Start = KvWatchStart.Current };
            await foreach (var change in kv().WatchAsync(options, _stop.Token).ConfigureAwait(false))
            {
                await ApplyAsync(index, change).ConfigureAwait(false);
                if (change.Kind == KvChangeKind.Current)
                {
                    _index = index;
                    loaded.TrySetResult(index);
                }
            }

            // The namespace was disposed.
            loaded.TrySetException(new ObjectDisposedException(nameof(KvNamespace)));
        }
        catch (Exception e)
        {
            // Nobody waits for a watch that ends after the index was loaded: the container is disposed.
            loaded.TrySetException(e);
        }
        finally
        {
            lock (_lock)
            {
                Debug.Assert(_loading == loaded.Task);
                _index = null;
                _loading = null;
            }
        }
    }

    private async ValueTask ApplyAsync(TagIndex index, KvChange change)
    {
        switch (change.Kind)
        {
            case KvChangeKind.Put:
                await PutAsync(index, change).ConfigureAwait(false);
                break;
            case KvChangeKind.Reset:
                index.BeginAnew();
                break;
            case KvChangeKind.Current:
                foreach (var key in index.Unseen())
                {
                    await RemovedAsync(index, key).ConfigureAwait(false);
                }

                break;
            default:
                await RemovedAsync(index, change.Key).ConfigureAwait(false);
                break;
        }
    }

    private async ValueTask PutAsync(TagIndex index, KvChange change)
    {
        try
        {
            using var value = change.Value;
            var (number, tags) = await StoredTags.ReadAsync(value).ConfigureAwait(false);
            if (!index.NoteShown(change.Key, number, tags))
            {
                return;
            }
        }
        catch (Exception e) when (StoreFailure.Is(e))
        {
            // A large value that was replaced meanwhile: the watch shows the next one. A damaged one cannot be served.
            index.NoteRemoved(change.Key);
        }

        await SettleAsync(index, change.Key).ConfigureAwait(false);
    }

    private ValueTask RemovedAsync(TagIndex index, string key) => index.NoteRemoved(key) ? SettleAsync(index, key) : default;
}
