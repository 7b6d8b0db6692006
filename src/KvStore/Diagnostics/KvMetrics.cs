using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;

namespace KvStore.Diagnostics;

/// <summary>The instruments that all namespaces share, and the namespaces that are there to be measured.</summary>
internal static class KvMetrics
{
    /// <summary>See <see cref="KvDiagnostics.MeterName"/>.</summary>
    public const string MeterName = "KvStore";

    /// <summary>See <see cref="KvDiagnostics.ActivitySourceName"/>.</summary>
    public const string ActivitySourceName = "KvStore";

    // Weakly, so that a namespace that nobody disposed can be collected.
    private static readonly ConditionalWeakTable<KvTelemetry, object> s_namespaces = [];
    private static readonly Meter s_meter = new(MeterName);

    /// <summary>The meter of all instruments.</summary>
    public static Meter Meter => s_meter;

    /// <summary>Counts operations, by name and outcome.</summary>
    public static Counter<long> Requests { get; } =
        s_meter.CreateCounter<long>("kvstore.requests", "{request}", "Operations, by name and outcome.");

    /// <summary>Calls of the factories of get-or-create, by what became of them.</summary>
    public static Counter<long> FactoryCalls { get; } =
        s_meter.CreateCounter<long>("kvstore.factory.calls", "{call}", "Calls of factories, by outcome.");

    /// <summary>Writes of increments and updates that were made again, because another write came between.</summary>
    public static Counter<long> UpdateRetries { get; } =
        s_meter.CreateCounter<long>("kvstore.update.retries", "{retry}", "Writes of updates that were made again because another write came between.");

    /// <summary>Requests of frameworks to adapters, by adapter, namespace, operation and outcome.</summary>
    public static Counter<long> AdapterRequests { get; } =
        s_meter.CreateCounter<long>("kvstore.adapter.requests", "{request}", "Requests of frameworks to their adapters, by operation and outcome.");

    /// <summary>How long operations take.</summary>
    /// <remarks>
    /// The boundaries that the conventions recommend begin at a millisecond, for a network. Every read from memory would be in the
    /// first bucket.
    /// </remarks>
    public static Histogram<double> Duration { get; } = s_meter.CreateHistogram(
        "db.client.operation.duration",
        "s",
        "How long operations take.",
        tags: null,
        new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries =
                [0.000001, 0.0000025, 0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
        });

    /// <summary>The source of activities.</summary>
    public static ActivitySource Activities { get; } = new(ActivitySourceName);

    /// <summary>Whether there are namespaces to be measured.</summary>
    public static bool HasNamespaces => s_namespaces.Any();

    /// <summary>Whether somebody observes operations.</summary>
    public static bool IsObserved => Requests.Enabled || Duration.Enabled || Activities.HasListeners();

    /// <summary>Begins to measure a namespace.</summary>
    public static void Add(KvTelemetry telemetry) => s_namespaces.AddOrUpdate(telemetry, telemetry.NamespaceTag);

    /// <summary>Ends measuring a namespace.</summary>
    public static void Remove(KvTelemetry telemetry) => s_namespaces.Remove(telemetry);

    /// <summary>
    /// Notifies every namespace that an observer may have come or gone. A listener of this library calls it, so that the very next
    /// read is counted.
    /// </summary>
    public static void NoticeObservers()
    {
        foreach (var (telemetry, _) in s_namespaces)
        {
            telemetry.NoticeObservers();
        }
    }

    static KvMetrics()
    {
        s_meter.CreateObservableGauge("kvstore.entries", () => Measure(t => t.EntryCount()), "{entry}", "Entries, by namespace.");
        s_meter.CreateObservableGauge("kvstore.memory", () => Measure(t => t.MemoryBytes()), "By", "Memory held for entries and indexes.");
        s_meter.CreateObservableCounter(
            "kvstore.condition_failures", () => Measure(t => t.ConditionFailures()), "{write}", "Conditional writes that were not made because their condition did not hold.");
        s_meter.CreateObservableCounter("kvstore.expired", () => Measure(t => t.ExpiredCount()), "{entry}", "Entries removed because they expired.");
        s_meter.CreateObservableGauge("kvstore.watchers", () => Measure(t => t.WatcherCount()), "{watcher}", "Watches that are going on.");
        s_meter.CreateObservableCounter(
            "kvstore.changes_skipped", () => Measure(t => t.SkippedChanges()), "{change}", "Changes that a watch did not show because a newer one of the key came before it read.");
        s_meter.CreateObservableCounter("kvstore.evicted", () => Measure(t => t.EvictedCount()), "{entry}", "Entries evicted because memory was limited.");
    }

    private static IEnumerable<Measurement<long>> Measure(Func<KvTelemetry, long> of) =>
        s_namespaces.Select(entry => new Measurement<long>(of(entry.Key), entry.Key.NamespaceTag));
}
