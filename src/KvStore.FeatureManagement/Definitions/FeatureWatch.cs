using Microsoft.Extensions.Logging;

namespace KvStore.Definitions;

/// <summary>Reads the entries of a namespace that define features, and then every change of them.</summary>
/// <remarks>Thread safety: <see cref="Dispose"/>, once, from any thread. <see cref="Start"/> is called once, before it.</remarks>
/// <param name="kv">The namespace.</param>
/// <param name="adapter">The prefix, and the counter of requests.</param>
/// <param name="logger">The log.</param>
/// <param name="publish">Receives the definitions whenever they have changed; one call at a time.</param>
internal sealed class FeatureWatch(IKvExtendedNamespace kv, KvAdapter adapter, ILogger logger, Action<FeatureDefinitions> publish) : IDisposable
{
    // Under a load of writes that never stops, definitions are published after so many changes.
    private const int ChangesMax = 1024;
    private const int LoggedCollisionsMax = 20;

    private static readonly TimeSpan s_retryDelay = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationToken _stopping;
    private SortedDictionary<string, FeatureEntry> _entries = new(StringComparer.Ordinal);
    private SortedDictionary<string, FeatureEntry> _published = new(StringComparer.Ordinal);
    private FeatureDefinitions? _definitions;
    private HashSet<(string Loser, string Winner)> _collisions = [];

    /// <summary>Completes when every entry that was there at the start has been published.</summary>
    public Task Loaded => _loaded.Task;

    /// <summary>Begins to read.</summary>
    public void Start()
    {
        _stopping = _stop.Token;
        _ = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Ends the reading, without waiting for it.</summary>
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
                await WatchAsync().ConfigureAwait(false);
                _loaded.TrySetException(Disposed());
                return;
            }
            catch (Exception e) when (e is ObjectDisposedException || _stopping.IsCancellationRequested)
            {
                // The namespace or this was disposed. The definitions stay as they are.
                _loaded.TrySetException(e is ObjectDisposedException ? e : Disposed());
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

    private ObjectDisposedException Disposed() =>
        new(kv.GetType().Name, $"The KV namespace {kv.Name} was disposed while definitions of features were read from it.");

    private async Task<bool> WaitAfterAsync(Exception exception)
    {
        logger.WatchFailed(kv.Name, exception);
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

    private async Task WatchAsync()
    {
        _entries = new(StringComparer.Ordinal);
        var changes = kv.WatchAsync(new KvWatchOptions { Prefix = adapter.Prefix, Start = KvWatchStart.Current }, _stopping).GetAsyncEnumerator(_stopping);
        await using (changes.ConfigureAwait(false))
        {
            var isCurrent = false;
            var changeCount = 0;
            while (true)
            {
                var next = changes.MoveNextAsync();
                if (isCurrent && changeCount > 0 && (!next.IsCompleted || changeCount >= ChangesMax))
                {
                    Publish();
                    changeCount = 0;
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
                        changeCount = 0;
                        Publish();
                        break;
                    case KvChangeKind.Reset:
                        isCurrent = false;
                        _entries = new(StringComparer.Ordinal);
                        break;
                    case KvChangeKind.Put:
                        await SetAsync(change.Key, change.Value).ConfigureAwait(false);
                        changeCount++;
                        break;
                    default:
                        changeCount += _entries.Remove(change.Key) ? 1 : 0;
                        break;
                }
            }
        }
    }

    private void Publish()
    {
        _definitions = FeatureDefinitions.Of(_entries, _definitions, out var collisions);
        _published = _entries;
        foreach (var (loser, winner) in collisions.Except(_collisions).Take(LoggedCollisionsMax))
        {
            logger.DefinitionsCollide(loser, winner, kv.Name);
        }

        _collisions = collisions;
        adapter.CountRequest("load", "ok");
        publish(_definitions);
        _loaded.TrySetResult();
    }

    private async ValueTask SetAsync(string key, KvValue value)
    {
        var before = _entries.GetValueOrDefault(key) ?? _published.GetValueOrDefault(key);
        var revision = value.Revision;
        if (before is null || before.Revision != revision)
        {
            before = await ReadAsync(key, value, revision, before).ConfigureAwait(false);
        }

        _entries[key] = before;
    }

    // The entry before stays where the value cannot be read.
    private async ValueTask<FeatureEntry> ReadAsync(string key, KvValue value, long revision, FeatureEntry? before)
    {
        try
        {
            using (value)
            {
                var bytes = await value.ReadBytesAsync(_stopping).ConfigureAwait(false);
                if (FeatureDefinitionReader.Read(key[adapter.Prefix.Length..], bytes, value.Metadata, out var definition) is not { } problem)
                {
                    return new FeatureEntry(revision, definition);
                }

                logger.DefinitionBroken(key, kv.Name, problem);
                adapter.CountRequest("load", "error");
            }
        }
        catch (KvException e) when (e.StatusCode == 410)
        {
            // The value was replaced; the change that did it is shown next.
        }
        catch (Exception e) when (e is KvPersistenceException or IOException)
        {
            logger.DefinitionUnreadable(key, kv.Name, e);
            adapter.CountRequest("load", "error");
        }

        return new FeatureEntry(revision, before?.Definition);
    }
}
