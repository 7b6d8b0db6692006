using System.Diagnostics;

namespace KvStore.Diagnostics;

/// <summary>Counts, times and traces the operations of one namespace, where anybody listens.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class KvTelemetry : IDisposable
{
    private readonly TimeProvider _timeProvider;
    private Action? _noticeObservers;

    public KvTelemetry(
        string name,
        TimeProvider timeProvider,
        Func<long> entryCount,
        Func<long> memoryBytes,
        Func<long> expiredCount,
        Func<long> evictedCount,
        Func<long> conditionFailures)
    {
        _timeProvider = timeProvider;
        NamespaceTag = new KeyValuePair<string, object?>("db.namespace", name);
        EntryCount = entryCount;
        MemoryBytes = memoryBytes;
        ExpiredCount = expiredCount;
        EvictedCount = evictedCount;
        ConditionFailures = conditionFailures;
        KvMetrics.Add(this);
    }

    /// <summary>The tag that names the namespace.</summary>
    public KeyValuePair<string, object?> NamespaceTag { get; }

    public Func<long> EntryCount { get; }

    public Func<long> MemoryBytes { get; }

    public Func<long> ExpiredCount { get; }

    public Func<long> EvictedCount { get; }

    public Func<long> ConditionFailures { get; }

    public Func<long> WatcherCount { get; init; } = static () => 0;

    public Func<long> SkippedChanges { get; init; } = static () => 0;

    public void Dispose() => KvMetrics.Remove(this);

    /// <summary>
    /// Calls back some time after an observer has come or gone, as well as before every operation that is observed. The callback
    /// asks <see cref="KvMetrics.IsObserved"/>.
    /// </summary>
    public void WatchObservers(Action noticeObservers)
    {
        _noticeObservers = noticeObservers;
        ObserverWatch.Start();
    }

    /// <summary>Calls the callback of <see cref="WatchObservers"/>.</summary>
    public void NoticeObservers() => _noticeObservers?.Invoke();

    /// <summary>Carries out an operation, and reports its outcome and duration.</summary>
    public async ValueTask<T> ObserveAsync<T>(string operation, Func<ValueTask<T>> carryOut, Func<T, string> outcomeOf)
    {
        NoticeObservers();
        using var activity = StartActivity(operation);
        var started = _timeProvider.GetTimestamp();
        try
        {
            var result = await carryOut().ConfigureAwait(false);
            Report(operation, outcomeOf(result), started, errorType: null);
            return result;
        }
        catch (Exception e)
        {
            var errorType = e is KvException refused ? refused.StatusCode.ToString(System.Globalization.CultureInfo.InvariantCulture) : e.GetType().FullName!;
            activity?.SetStatus(ActivityStatusCode.Error, e.Message).SetTag("error.type", errorType);
            Report(operation, "error", started, errorType);
            throw;
        }
    }

    /// <summary>Runs an operation without a result, and reports its outcome.</summary>
    public async ValueTask ObserveAsync(string operation, Func<ValueTask> carryOut) => await ObserveAsync(
        operation,
        async () =>
        {
            await carryOut().ConfigureAwait(false);
            return true;
        },
        static _ => "ok").ConfigureAwait(false);

    /// <summary>Counts a synchronous read.</summary>
    public void CountRead(bool isHit) => Count("get", isHit ? "hit" : "miss", errorType: null);

    /// <summary>Counts a scan.</summary>
    public void CountScan() => Count("scan", "ok", errorType: null);

    // The tags are set at the start, because samplers decide by them.
    private Activity? StartActivity(string operation) => KvMetrics.Activities.HasListeners()
        ? KvMetrics.Activities.StartActivity(
            ActivityKind.Client, parentContext: default, TagsOf(operation, errorType: null), name: $"{operation} {NamespaceTag.Value}")
        : null;

    private void Report(string operation, string outcome, long started, string? errorType)
    {
        Count(operation, outcome, errorType);
        var tags = TagsOf(operation, errorType);
        KvMetrics.Duration.Record(_timeProvider.GetElapsedTime(started).TotalSeconds, tags);
    }

    private void Count(string operation, string outcome, string? errorType)
    {
        var tags = TagsOf(operation, errorType);
        tags.Add("kvstore.outcome", outcome);
        KvMetrics.Requests.Add(1, tags);
    }

    private TagList TagsOf(string operation, string? errorType)
    {
        var tags = new TagList { { "db.system.name", "kvstore" }, NamespaceTag, { "db.operation.name", operation } };
        if (errorType is not null)
        {
            tags.Add("error.type", errorType);
        }

        return tags;
    }
}
