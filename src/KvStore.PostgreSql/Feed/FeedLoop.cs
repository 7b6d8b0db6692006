using KvStore.PostgreSql.Connections;
using Microsoft.Extensions.Logging;

namespace KvStore.PostgreSql.Feed;

/// <summary>Asks for the writes of other processes again and again, and knows how old the state in memory is.</summary>
/// <remarks>
/// <para>Time is that of the system: a network does not obey the clock of a test.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class FeedLoop : IAsyncDisposable
{
    private static readonly TimeSpan s_checkMax = TimeSpan.FromSeconds(1);

    private readonly ReplicaFeed _feed;
    private readonly Link _link;
    private readonly IKvEngineHost _host;
    private readonly KvPostgreSqlOptions _options;
    private readonly ILogger _logger;
    private readonly Action<TimeSpan> _noteLag;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Lock _lock = new();
    private readonly Task _loop;
    private readonly ITimer _watch;

    // Completed by the first question that begins after it was added.
    private TaskCompletionSource? _waiting;
    private long _lastTicks;
    private volatile Exception? _failure;
    private bool _isRefusing;

    /// <param name="feed">The feed, which has loaded all entries.</param>
    /// <param name="link">Its connection.</param>
    /// <param name="host">The replica.</param>
    /// <param name="options">How often to ask, and what to do when the state is stale.</param>
    /// <param name="logger">Receives what an operator wants to know.</param>
    /// <param name="noteLag">Called when a question has brought writes, with a time: none of them was committed longer ago.</param>
    public FeedLoop(ReplicaFeed feed, Link link, IKvEngineHost host, KvPostgreSqlOptions options, ILogger logger, Action<TimeSpan> noteLag)
    {
        (_feed, _link, _host, _options, _logger, _noteLag) = (feed, link, host, options, logger, noteLag);
        var check = options.StalenessMax / 10 < s_checkMax ? options.StalenessMax / 10 : s_checkMax;
        _watch = TimeProvider.System.CreateTimer(static loop => ((FeedLoop)loop!).CheckStaleness(), this, check, check);
        _loop = Task.Run(RunAsync);
    }

    /// <summary>Called when writes are refused because the database is not what it was (the reason), or are not any more (null).</summary>
    public Action<Exception?>? RefusalChanged { get; set; }

    /// <summary>The time since the last question that was answered was asked: the state in memory is at most so old.</summary>
    public TimeSpan Staleness => TimeProvider.System.GetElapsedTime(_feed.AskedAt);

    /// <summary>How long the last question took.</summary>
    public TimeSpan LastDuration => TimeSpan.FromTicks(Volatile.Read(ref _lastTicks));

    public KvPersistenceHealth Health
    {
        get
        {
            var failure = _failure;
            return failure is SequenceResetException ? new KvPersistenceHealth(KvPersistenceStatus.Failed, failure.Message, failure)
                : Staleness > _options.StalenessMax
                    ? new KvPersistenceHealth(KvPersistenceStatus.Degraded, StaleReason(failure), failure)
                : KvPersistenceHealth.Healthy;
        }
    }

    /// <summary>Asks at once.</summary>
    public void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is awake.
        }
        catch (ObjectDisposedException)
        {
            // The namespace is closed.
        }
    }

    /// <summary>Completes when everything is applied that was committed before the call.</summary>
    public async ValueTask RefreshAsync(CancellationToken cancellationToken)
    {
        Task done;
        lock (_lock)
        {
            _waiting ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            done = _waiting.Task;
        }

        Wake();
        await done.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.StopAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        await _watch.DisposeAsync().ConfigureAwait(false);
        TakeWaiting()?.TrySetException(new ObjectDisposedException(_host.Name));
        _stopping.Dispose();
        _wake.Dispose();
    }

    private async Task RunAsync()
    {
        var attempt = 0;
        while (!_stopping.IsCancellationRequested)
        {
            var waiting = TakeWaiting();
            var askedBefore = _feed.AskedAt;
            var began = TimeProvider.System.GetTimestamp();
            try
            {
                var applied = await _feed.PollAsync(_stopping.Token).ConfigureAwait(false);
                Volatile.Write(ref _lastTicks, TimeProvider.System.GetElapsedTime(began).Ticks);
                NoteFresh(applied, TimeProvider.System.GetElapsedTime(askedBefore));
                waiting?.TrySetResult();
                attempt = 0;
                await _wake.WaitAsync(_options.PollInterval, _stopping.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                waiting?.TrySetException(new ObjectDisposedException(_host.Name));
                return;
            }
            catch (Exception e)
            {
                // Anything: this loop must not end while the namespace is open.
                waiting?.TrySetException(e is KvPersistenceException ? e : new KvPersistenceException($"The database could not be asked for the writes of other processes: {Failures.Reason(e)}.", e));
                await NoteFailureAsync(e, attempt++).ConfigureAwait(false);
            }
        }
    }

    private TaskCompletionSource? TakeWaiting()
    {
        lock (_lock)
        {
            var waiting = _waiting;
            _waiting = null;
            return waiting;
        }
    }

    // The question before did not show what this one has brought, so it was committed after that one was asked.
    private void NoteFresh(int applied, TimeSpan sinceAskedBefore)
    {
        if (applied > 0)
        {
            _noteLag(sinceAskedBefore);
        }

        if (_failure is { } failure)
        {
            EngineLog.Found(_logger, _host.Name, sinceAskedBefore.TotalSeconds);
            _failure = null;
            if (failure is SequenceResetException)
            {
                RefusalChanged?.Invoke(null);
            }
        }

        CheckStaleness();
    }

    private async ValueTask NoteFailureAsync(Exception failure, int attempt)
    {
        if (_failure is null)
        {
            EngineLog.Lost(_logger, _host.Name, failure);
        }

        _failure = failure;
        if (failure is SequenceResetException)
        {
            RefusalChanged?.Invoke(failure);
        }
        else
        {
            await _feed.DropAsync(_link).ConfigureAwait(false);
        }

        try
        {
            await _wake.WaitAsync(Failures.DelayAfter(attempt), _stopping.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The loop ends.
        }
    }

    // By a timer as well, because a question may hang.
    private void CheckStaleness()
    {
        if (_options.WhenStale != KvWhenStale.Refuse)
        {
            return;
        }

        lock (_lock)
        {
            var isStale = Staleness > _options.StalenessMax;
            if (isStale != _isRefusing && !_stopping.IsCancellationRequested)
            {
                _isRefusing = isStale;
                _host.RefuseReads(isStale ? StaleReason(_failure) : null);
            }
        }
    }

    private string StaleReason(Exception? failure) => Invariant(
        $"The state in memory is {Staleness.TotalSeconds:0.0} seconds old, more than {_options.StalenessMax.TotalSeconds:0.###}, because PostgreSQL could not be asked for the writes of other processes{(failure is null ? "" : $": {Failures.Reason(failure)}")}.");
}
