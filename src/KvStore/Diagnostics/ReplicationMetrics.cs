using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;

namespace KvStore.Diagnostics;

/// <summary>The instruments of replication: lag, staleness and pending deliveries.</summary>
internal static class ReplicationMetrics
{
    private const string RegionTag = "kvstore.region";

    // By owner, with weak references, so that a namespace that was not disposed can be collected.
    private static readonly ConditionalWeakTable<object, Func<IEnumerable<Measurement<long>>>> s_pending = [];

    // From the milliseconds of a push between regions to the minutes of a cache or a partition.
    private static readonly InstrumentAdvice<double> s_seconds = new()
    {
        HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
    };

    /// <summary>The time from a write to its visibility in another region.</summary>
    public static Histogram<double> Lag { get; } = KvMetrics.Meter.CreateHistogram<double>(
        "kvstore.replication.lag", "s", "The time from a write to its visibility in another region.", tags: null, s_seconds);

    /// <summary>The staleness of reads that returned something that was not the newest.</summary>
    public static Histogram<double> Staleness { get; } = KvMetrics.Meter.CreateHistogram<double>(
        "kvstore.replication.staleness", "s", "Of stale reads: the longest time for which the result may not have been the newest.", tags: null, s_seconds);

    static ReplicationMetrics() => KvMetrics.Meter.CreateObservableGauge(
        "kvstore.replication.pending", () => s_pending.SelectMany(entry => entry.Value()), "{mutation}", "Pending deliveries, by the region that has not received them.");

    /// <summary>Begins to measure the pending deliveries of an owner.</summary>
    public static void Add(object owner, Func<IEnumerable<Measurement<long>>> pending) => s_pending.AddOrUpdate(owner, pending);

    /// <summary>Ends the measurements of an owner.</summary>
    public static void Remove(object owner) => s_pending.Remove(owner);

    /// <summary>Creates a measurement of a region.</summary>
    public static Measurement<long> Measure(string @namespace, string region, long value) =>
        new(value, new TagList { { "db.namespace", @namespace }, { RegionTag, region } });

    public static void RecordLag(string @namespace, string from, string to, long ticks) => Lag.Record(
        new TimeSpan(ticks).TotalSeconds, new TagList { { "db.namespace", @namespace }, { "kvstore.region.from", from }, { RegionTag, to } });

    public static void RecordStaleness(string @namespace, string region, long ticks) => Staleness.Record(
        new TimeSpan(ticks).TotalSeconds, new TagList { { "db.namespace", @namespace }, { RegionTag, region } });
}
