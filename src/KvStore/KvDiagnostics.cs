using KvStore.Diagnostics;

namespace KvStore;

/// <summary>The names of the meter and the activity source of namespaces.</summary>
/// <remarks>
/// <para>Metrics: <c>kvstore.requests</c> (by operation, and hit or miss), <c>db.client.operation.duration</c> in seconds,
/// and for each namespace <c>kvstore.entries</c>, <c>kvstore.memory</c> in bytes, <c>kvstore.expired</c>,
/// <c>kvstore.evicted</c>, <c>kvstore.condition_failures</c>, <c>kvstore.watchers</c>, <c>kvstore.changes_skipped</c>,
/// <c>kvstore.factory.calls</c> (by <c>kvstore.outcome</c>: <c>stored</c>, <c>skipped</c>, <c>overtaken</c>, <c>not_stored</c>,
/// <c>cancelled</c> or <c>error</c>) and <c>kvstore.update.retries</c>; for
/// each of its regions <c>kvstore.replication.lag</c> and <c>kvstore.replication.staleness</c> in seconds, and
/// <c>kvstore.replication.pending</c>; and for each adapter of a framework <c>kvstore.adapter.requests</c> (by <c>kvstore.adapter</c>,
/// <c>db.namespace</c>, <c>db.operation.name</c> and <c>kvstore.outcome</c>). Traces: one activity for each operation. Both have the tags of the OpenTelemetry conventions
/// for databases: <c>db.system.name</c>, <c>db.namespace</c>, <c>db.operation.name</c>, <c>error.type</c>; and by
/// <c>kvstore.region</c>. Keys never become tags.</para>
/// <para>Without an observer each operation costs one check. With the system's clock a read does not even check: the namespace checks
/// ten times a second, and at every other operation, whether there is an observer. Reads in the tenth of a second before that may not
/// be reported. The synchronous read, <see cref="KvNamespace.TryGet(string, out KvValue)"/>, is counted, but neither timed nor
/// traced.</para>
/// </remarks>
public static class KvDiagnostics
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = KvMetrics.MeterName;

    /// <summary>The name of the activity source.</summary>
    public const string ActivitySourceName = KvMetrics.ActivitySourceName;

    /// <summary>
    /// Whether anybody listens: to one of the two instruments of operations, or to the activities. Safe to call from any thread.
    /// </summary>
    public static bool IsObserved => KvMetrics.IsObserved;

    /// <summary>
    /// Makes every namespace of this process check now whether anybody listens. Call it after a listener has started or stopped,
    /// when the very next read must be counted. Without the call, a namespace notices within a tenth of a second. Safe to call
    /// from any thread.
    /// </summary>
    public static void NoticeObservers() => KvMetrics.NoticeObservers();
}
