namespace KvStore.Configuration;

/// <summary>
/// Reads the entries of a prefix, and then every change of them, into a state that a derived class keeps and publishes. Many changes that
/// come together are published once. After a failure it begins again.
/// </summary>
/// <remarks>Thread safety: <see cref="Dispose"/>, once, from any thread. <see cref="Start"/> is called once, before it.</remarks>
/// <param name="kv">The namespace.</param>
/// <param name="prefix">The prefix.</param>
internal abstract class EntryWatch(IKvExtendedNamespace kv, string prefix) : IDisposable
{
    // Under a load of writes that never stops, the state is published after so many changes and so many bytes.
    private const int ChangesMax = 1024;
    private const long BytesMax = 4 << 20;

    private static readonly TimeSpan s_retryDelay = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The namespace.</summary>
    public IKvExtendedNamespace Namespace => kv;

    /// <summary>Completes when every entry that was there at the start has been published. Cancelled when this is stopped before.</summary>
    public Task Loaded => _loaded.Task;

    /// <summary>Cancelled when this is stopped.</summary>
    protected CancellationToken Stopping { get; private set; }

    /// <summary>Begins to read.</summary>
    public void Start()
    {
        Stopping = _stop.Token;
        _ = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Ends the reading. Does not wait, because it may be called by code that the reading calls.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    /// <summary>Begins with no entries.</summary>
    protected abstract void Clear();

    /// <summary>Takes an entry.</summary>
    /// <returns>Whether the state has changed.</returns>
    protected abstract ValueTask<bool> SetAsync(string key, KvValue value);

    /// <summary>Removes an entry.</summary>
    /// <returns>Whether the state has changed.</returns>
    protected abstract bool Remove(string key);

    /// <summary>Publishes the state; one call at a time.</summary>
    /// <returns>False when this has been replaced, and what it reads does not count any more.</returns>
    protected abstract bool Publish();

    /// <summary>Logs a failure, after which it begins again.</summary>
    protected abstract void LogFailure(Exception exception);

    /// <summary>Reads until the namespace is disposed.</summary>
    protected virtual Task ReadAsync() => WatchAsync();

    /// <summary>Publishes the state, and completes <see cref="Loaded"/>.</summary>
    protected void PublishLoaded()
    {
        if (Publish())
        {
            _loaded.TrySetResult();
        }
        else
        {
            _loaded.TrySetCanceled(CancellationToken.None);
        }
    }

    private async Task RunAsync()
    {
        while (true)
        {
            try
            {
                await ReadAsync().ConfigureAwait(false);
                _loaded.TrySetException(new ObjectDisposedException(nameof(KvNamespace), $"The KV namespace {kv.Name} was disposed while it was read."));
                return;
            }
            catch (Exception) when (Stopping.IsCancellationRequested)
            {
                _loaded.TrySetCanceled(CancellationToken.None);
                return;
            }
            catch (ObjectDisposedException e)
            {
                // The namespace was disposed. What was published stays.
                _loaded.TrySetException(e);
                return;
            }
            catch (Exception e)
            {
                if (_loaded.TrySetException(e) || !await WaitAfterAsync(e).ConfigureAwait(false))
                {
                    return;
                }
            }
        }
    }

    private async Task<bool> WaitAfterAsync(Exception exception)
    {
        LogFailure(exception);
        try
        {
            await Task.Delay(s_retryDelay, (kv as KvNamespace)?.TimeProvider ?? TimeProvider.System, Stopping).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task WatchAsync()
    {
        Clear();
        var changes = kv.WatchAsync(new KvWatchOptions { Prefix = prefix, Start = KvWatchStart.Current }, Stopping).GetAsyncEnumerator(Stopping);
        await using (changes.ConfigureAwait(false))
        {
            var isCurrent = false;
            var (changeCount, changeBytes) = (0, 0L);
            while (true)
            {
                var next = changes.MoveNextAsync();
                if (isCurrent && changeCount > 0 && (!next.IsCompleted || changeCount >= ChangesMax || changeBytes >= BytesMax))
                {
                    PublishLoaded();
                    (changeCount, changeBytes) = (0, 0);
                }

                if (!await next.ConfigureAwait(false))
                {
                    return;
                }

                var change = changes.Current;
                switch (change.Kind)
                {
                    case KvChangeKind.Current:
                        isCurrent = true;
                        PublishLoaded();
                        (changeCount, changeBytes) = (0, 0);
                        break;
                    case KvChangeKind.Reset:
                        isCurrent = false;
                        Clear();
                        break;
                    case KvChangeKind.Put:
                        changeBytes += change.Value.Length;
                        changeCount += await SetAsync(change.Key, change.Value).ConfigureAwait(false) ? 1 : 0;
                        break;
                    default:
                        changeCount += Remove(change.Key) ? 1 : 0;
                        break;
                }
            }
        }
    }
}
