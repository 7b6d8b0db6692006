using System.Diagnostics.Metrics;
using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.Writes;

namespace KvStore.PostgreSql;

/// <summary>The metrics of a namespace in PostgreSQL: the meter <c>KvStore.PostgreSql</c>.</summary>
internal sealed class EngineMetrics : IDisposable
{
    private readonly Meter _meter = new("KvStore.PostgreSql");

    public EngineMetrics(string name, FeedLoop follower, ReplicaFeed feed, WriteLoop writes)
    {
        KeyValuePair<string, object?> tag = new("kvstore.namespace", name);
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
