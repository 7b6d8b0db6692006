using Microsoft.Extensions.Logging;

namespace KvStore.Configuration;

/// <summary>Reads the entries of a namespace for a provider of configuration, and then every change of them.</summary>
/// <remarks>Thread safety: <see cref="Dispose"/>, once, from any thread. <see cref="Start"/> is called once, before it.</remarks>
/// <param name="provider">The provider.</param>
/// <param name="kv">The namespace.</param>
/// <param name="options">How entries become configuration.</param>
/// <param name="previous">The reader before; null for none. What it has read of the same namespace need not be read again.</param>
/// <param name="count">Counts a request: the operation and the outcome.</param>
/// <param name="logger">The log.</param>
/// <param name="isReload">Whether the first values are a change that is notified.</param>
internal sealed class NamespaceReader(
    KvConfigurationProvider provider,
    IKvExtendedNamespace kv,
    KvConfigurationOptions options,
    NamespaceReader? previous,
    Action<string, string> count,
    ILogger logger,
    bool isReload) : IDisposable
{
    // Under a load of writes that never stops, the values are published after so many changes and so many bytes.
    private const int ChangesMax = 1024;
    private const long BytesMax = 4 << 20;

    private static readonly TimeSpan s_retryDelay = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationToken _stopping;
    private ConfigurationEntries _entries = new();
    private ConfigurationEntries? _published = previous is not null && ReferenceEquals(previous.Namespace, kv) ? previous._published : null;
    private bool _hasPublished;

    /// <summary>The namespace.</summary>
    public IKvExtendedNamespace Namespace => kv;

    /// <summary>Completes when the provider has every entry that was there at the start. Cancelled when this is stopped before.</summary>
    public Task Loaded => _loaded.Task;

    /// <summary>Begins to read.</summary>
    public void Start()
    {
        _stopping = _stop.Token;
        _ = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Ends the reading. Does not wait, because it may be called by code that the reading calls.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (true)
        {
            try
            {
                if (options.ReloadOnChange)
                {
                    await WatchAsync().ConfigureAwait(false);
                }
                else
                {
                    await ScanAsync().ConfigureAwait(false);
                }

                _loaded.TrySetException(new ObjectDisposedException(nameof(KvNamespace), $"The KV namespace {kv.Name} was disposed while the configuration was read from it."));
                return;
            }
            catch (Exception) when (_stopping.IsCancellationRequested)
            {
                _loaded.TrySetCanceled();
                return;
            }
            catch (ObjectDisposedException e)
            {
                // The namespace was disposed. The configuration keeps its values.
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
        logger.ConfigurationWatchFailed(kv.Name, exception);
        try
        {
            await Task.Delay(s_retryDelay, (kv as KvNamespace)?.TimeProvider ?? TimeProvider.System, _stopping).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task ScanAsync()
    {
        await foreach (var (key, value) in kv.ScanAsync(options.Prefix, _stopping).ConfigureAwait(false))
        {
            await SetAsync(key, value).ConfigureAwait(false);
        }

        Publish();
    }

    private async Task WatchAsync()
    {
        _entries = new ConfigurationEntries();
        var changes = kv.WatchAsync(new KvWatchOptions { Prefix = options.Prefix, Start = KvWatchStart.Current }, _stopping)
            .GetAsyncEnumerator(_stopping);
        await using (changes.ConfigureAwait(false))
        {
            var isCurrent = false;
            var changeCount = 0;
            var changeBytes = 0L;
            while (true)
            {
                var next = changes.MoveNextAsync();
                if (isCurrent && changeCount > 0 && (!next.IsCompleted || changeCount >= ChangesMax || changeBytes >= BytesMax))
                {
                    // Many changes that come together are one reload.
                    Publish();
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
                        Publish();
                        (changeCount, changeBytes) = (0, 0);
                        break;
                    case KvChangeKind.Reset:
                        isCurrent = false;
                        _entries = new ConfigurationEntries();
                        break;
                    case KvChangeKind.Put:
                        changeBytes += change.Value.Length;
                        changeCount += await SetAsync(change.Key, change.Value).ConfigureAwait(false) ? 1 : 0;
                        break;
                    default:
                        provider.ForgetBroken(change.Key);
                        changeCount += _entries.Remove(change.Key) ? 1 : 0;
                        break;
                }
            }
        }
    }

    private void Publish()
    {
        if (!provider.Publish(this, _entries, isReload: isReload || _hasPublished))
        {
            _loaded.TrySetCanceled();
            return;
        }

        _hasPublished = true;
        _published = _entries;
        _loaded.TrySetResult();
    }

    // Returns whether the configuration changes.
    private async ValueTask<bool> SetAsync(string key, KvValue value)
    {
        var before = _entries.Find(key) ?? _published?.Find(key);
        var revision = value.Revision;
        if (before is not null && before.Revision == revision)
        {
            return _entries.Set(key, before);
        }

        var values = await ReadAsync(key, value, revision).ConfigureAwait(false) ?? before?.Values ?? [];
        return _entries.Set(key, new ConfigurationEntry(revision, values));
    }

    // Null when the value cannot be read.
    private async ValueTask<KeyValuePair<string, string?>[]?> ReadAsync(string key, KvValue value, long revision)
    {
        try
        {
            using (value)
            {
                var bytes = await value.ReadBytesAsync(_stopping).ConfigureAwait(false);
                if (ConfigurationEntry.Read(ConfigurationEntry.PathOf(key, options), bytes, options.FlattenJson, out var values) is not { } problem)
                {
                    provider.ForgetBroken(key);
                    return values;
                }

                if (provider.TryNoteBroken(key, revision))
                {
                    logger.ConfigurationValueBroken(key, kv.Name, problem);
                }
            }
        }
        catch (KvException e) when (e.StatusCode == 410)
        {
            // The value was replaced; the change that did it is shown next.
            return null;
        }
        catch (Exception e) when (e is KvPersistenceException or IOException)
        {
            logger.ConfigurationValueUnreadable(key, kv.Name, e);
        }

        count("load", "error");
        return null;
    }
}
