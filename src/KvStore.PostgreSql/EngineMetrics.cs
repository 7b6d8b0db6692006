using System.Diagnostics.Metrics;
using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.Writes;

namespace KvStore.PostgreSql;

/// <summary>The metrics of a namespace in PostgreSQL: the meter <c>KvStore.PostgreSql</c>.</summary>
internal sealed class EngineMetrics : IDisposable
{
    private readonly Meter _meter = new("KvStore.PostgreSql");
    private readonly KeyValuePair<string, object?> _tag;
    private readonly Histogram<double> _lag;

    public EngineMetrics(string name)
    {
        _tag = new("kvstore.namespace", name);
        _lag = _meter.CreateHistogram(
            "kvstore.postgresql.feed.lag", "s", "Of each question that brought writes which this process did not have: none of them was committed longer ago.", tags: null,
            new InstrumentAdvice<double>
            {
                // From a notification in one data centre to an outage.
                HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
            });
    }

    /// <summary>A question has brought writes that this process did not have. None of them was committed longer ago than this.</summary>
    public void RecordLag(TimeSpan lag) => _lag.Record(lag.TotalSeconds, _tag);

    /// <summary>Shows the state of the parts of the engine.</summary>
    public void Observe(FeedLoop follower, ReplicaFeed feed, WriteLoop writes)
    {
        var tag = _tag;
        _meter.CreateObservableGauge(
            "kvstore.postgresql.staleness", () => new Measurement<double>(follower.Staleness.TotalSeconds, tag), "s", "How old the state in memory may be.");
        _meter.CreateObservableGauge(
            "kvstore.postgresql.feed.duration", () => new Measurement<double>(follower.LastDuration.TotalSeconds, tag), "s", "How long the last question for the writes of others took.");
        _meter.CreateObservableGauge(
            "kvstore.postgresql.batch", () => new Measurement<int>(writes.LastBatch, tag), "{write}", "How many writes the last transaction had.");
        _meter.CreateObservableCounter(
            "kvstore.postgresql.resyncs", () => new Measurement<long>(feed.Resyncs, tag), "{resync}", "How often the whole namespace was compared with the database.");
    }

    public void Dispose() => _meter.Dispose();
}
