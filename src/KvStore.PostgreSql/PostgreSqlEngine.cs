using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.LargeValues;
using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Sweeping;
using KvStore.PostgreSql.Writes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace KvStore.PostgreSql;

/// <summary>A namespace in PostgreSQL: opens it, follows it, and writes to it.</summary>
/// <remarks>
/// <para>Polls, timeouts and pauses go by <see cref="TimeProvider.System"/>, as the server and the network do. The clock of the namespace
/// decides only what has expired.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class PostgreSqlEngine : IKvEngine
{
    private readonly Func<NpgsqlDataSource> _source;
    private readonly bool _ownsDataSource;
    private readonly KvPostgreSqlOptions _options;
    private NpgsqlDataSource? _dataSource;
    private Parts? _parts;
    private volatile KvPersistenceHealth _writeHealth = KvPersistenceHealth.Healthy;
    private bool _isClosed;

    /// <param name="source">Finds the connections when the engine is opened.</param>
    /// <param name="ownsDataSource">Whether the engine disposes them.</param>
    /// <param name="options">How this process uses the database.</param>
    public PostgreSqlEngine(Func<NpgsqlDataSource> source, bool ownsDataSource, KvPostgreSqlOptions options)
    {
        options.Validate();
        (_source, _ownsDataSource, _options) = (source, ownsDataSource, options);
    }

    /// <param name="dataSource">The connections.</param>
    /// <param name="ownsDataSource">Whether the engine disposes them.</param>
    /// <param name="options">How this process uses the database.</param>
    public PostgreSqlEngine(NpgsqlDataSource dataSource, bool ownsDataSource, KvPostgreSqlOptions options)
        : this(() => dataSource, ownsDataSource, options) => _dataSource = dataSource;

    /// <summary>How this process uses the database.</summary>
    public KvPostgreSqlOptions Options => _options;

    /// <summary>An engine that is not open yet, like this one, with other options.</summary>
    public PostgreSqlEngine With(KvPostgreSqlOptions options) => new(_source, _ownsDataSource, options);

    public KvPersistenceHealth Health =>
        _isClosed || _parts is not { } parts ? new KvPersistenceHealth(KvPersistenceStatus.Closed, "The namespace is closed.")
        : parts.Follower.Health is { Status: not KvPersistenceStatus.Healthy } health ? health
        : _writeHealth;

    public IKvLargeValues? LargeValues => _parts?.LargeValues;

    /// <summary>How often the whole namespace was compared with the database.</summary>
    internal long Resyncs => _parts?.Feed.Resyncs ?? 0;

    /// <summary>Removes what is not needed any more.</summary>
    internal Sweeper Sweeper => _parts!.Sweeper;

    public async ValueTask<KvRecovery> OpenAsync(IKvEngineHost host, CancellationToken cancellationToken = default)
    {
        var dataSource = _dataSource = _source();
        Prerequisites.Check(dataSource, _options, host.Limits);
        var link = new Link(dataSource);
        try
        {
            var connection = await link.OpenAsync(cancellationToken).ConfigureAwait(false);
            var number = await SchemaSetup.EnsureAsync(connection, _options, host.Name, cancellationToken).ConfigureAwait(false);
            var logger = (ILogger?)host.LoggerFactory?.CreateLogger("KvStore.PostgreSql") ?? NullLogger.Instance;
            var clock = new DatabaseClock(host.TimeProvider);
            var source = new PostgreSqlFeedSource(link, _options.Schema, number, clock, TimeProvider.System, () => EngineLog.ClockMoved(logger, host.Name, clock.OffsetSeconds));
            var feed = new ReplicaFeed(source, host);
            _parts = new Parts { Link = link, Feed = feed, LargeValues = new LargeValueStore(dataSource, _options.Schema, _options.LargeValueBytes, _options.WriteTimeout) };
            var state = await feed.OpenAsync(cancellationToken).ConfigureAwait(false);
            var metrics = _parts.Metrics = new EngineMetrics(host.Name);
            var follower = new FeedLoop(feed, link, host, _options, logger, metrics.RecordLag);
            var notifications = _options.UseNotifications
                ? new Notifications(dataSource, Invariant($"{_options.Schema}_{number}"), follower.Wake)
                : null;
            _parts.Follower = follower;
            _parts.Notifications = notifications;
            _parts.Writes = new WriteLoop(
                _options.Schema, number, dataSource, clock, feed, host, _options.WriteTimeout, ReportWrite, () => notifications?.Notify());
            follower.RefusalChanged = refusal => _parts.Writes.Refusal = refusal;
            _parts.Sweeper = new Sweeper(dataSource, _options.Schema, number, clock, _options.SweepInterval, logger);
            metrics.Observe(follower, feed, _parts.Writes);
            EngineLog.Opened(logger, host.Name, state.Entries);
            return new KvRecovery { HighestRevision = state.LastRevision, Mutations = state.Entries };
        }
        catch (Exception e) when (e is NpgsqlException or System.Net.Sockets.SocketException or TimeoutException)
        {
            await CloseAsync(link).ConfigureAwait(false);
            throw new KvPersistenceException($"The namespace \"{host.Name}\" could not be opened in PostgreSQL: {Failures.Reason(e)}.", e);
        }
        catch
        {
            await CloseAsync(link).ConfigureAwait(false);
            throw;
        }
    }

    public ValueTask<KvEngineOutcome> CommitAsync(in KvEngineWrite write, CancellationToken cancellationToken = default) =>
        new(OpenParts().Writes.CommitAsync(write, cancellationToken));

    public async ValueTask<long> RefreshAsync(CancellationToken cancellationToken = default)
    {
        var parts = OpenParts();
        var revision = await parts.Writes.MarkAsync(cancellationToken).ConfigureAwait(false);
        await parts.Follower.RefreshAsync(cancellationToken).ConfigureAwait(false);
        return revision;
    }

    public ValueTask DisposeAsync() => CloseAsync(link: null);

    private Parts OpenParts() => _parts ?? throw new InvalidOperationException("The engine is not open.");

    private void ReportWrite(Exception? failure) => _writeHealth = failure is null
        ? KvPersistenceHealth.Healthy
        : new KvPersistenceHealth(KvPersistenceStatus.Degraded, $"The last write to PostgreSQL failed: {Failures.Reason(failure)}.", failure);

    private async ValueTask CloseAsync(Link? link)
    {
        if (_isClosed)
        {
            return;
        }

        _isClosed = true;
        if (_parts is { } parts)
        {
            parts.Metrics?.Dispose();
            await DisposeAsync(parts.Writes).ConfigureAwait(false);
            await DisposeAsync(parts.Sweeper).ConfigureAwait(false);
            await DisposeAsync(parts.Notifications).ConfigureAwait(false);
            await DisposeAsync(parts.Follower).ConfigureAwait(false);
            await DisposeAsync(parts.Link).ConfigureAwait(false);
            parts.Feed.Dispose();
        }
        else
        {
            await DisposeAsync(link).ConfigureAwait(false);
        }

        if (_ownsDataSource && _dataSource is not null)
        {
            await _dataSource.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Parts are missing where the opening failed.
    private static ValueTask DisposeAsync(IAsyncDisposable? part) => part?.DisposeAsync() ?? default;

    private sealed class Parts
    {
        public required Link Link { get; init; }

        public required ReplicaFeed Feed { get; init; }

        public required LargeValueStore LargeValues { get; init; }

        public FeedLoop Follower { get; set; } = null!;

        public WriteLoop Writes { get; set; } = null!;

        public Notifications? Notifications { get; set; }

        public Sweeper Sweeper { get; set; } = null!;

        public EngineMetrics? Metrics { get; set; }
    }
}
