using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.LargeValues;
using KvStore.PostgreSql.Schema;
using Npgsql;

namespace KvStore.PostgreSql.Writes;

/// <summary>Commits the writes of this process: whatever waits goes together in one transaction. With many callers two are in flight.</summary>
/// <remarks>
/// <para>While the server commits the transaction of one lane, this process completes the writes of the other and gathers the next ones.
/// <see cref="WriteBacklog"/> keeps the keys of the lanes apart. So for the server and for other processes the two lanes are what two
/// processes are that write different keys, and nothing depends on the order in which their transactions end:</para>
/// <list type="bullet">
/// <item>A revision of one lane may be noted while the other has taken a lower one and not committed it. The feed does not go on
/// from a highest revision, and compares the noted one only with the sequence, which is never behind it.</item>
/// <item>Deletes up to a noted revision are forgotten when all writes are published that had been passed to the engine by then
/// (<see cref="IKvEngineHost.ForgetDeletes"/>), of both lanes. An older put of the key of such a delete is one of them, even where the delete
/// is committed later: the put was committed before the revision of the delete was taken, under the lock of the row.</item>
/// <item>A barrier reads its revision while nothing is in flight, so that the writes before it have lower revisions and those behind it
/// have higher ones.</item>
/// </list>
/// <para>The health is that of the last result, of either lane.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed partial class WriteLoop : IAsyncDisposable
{
    private const int GatheredFrom = 8;
    private const int GatheringsMax = 64;

    private readonly string _schema;
    private readonly ReplicaFeed _feed;
    private readonly IKvEngineHost _host;
    private readonly TimeSpan _timeout;
    private readonly Action<Exception?> _report;
    private readonly Action _committed;
    private readonly WriteBacklog _backlog = new();
    private readonly WriteLane[] _lanes;
    private readonly CancellationTokenSource _stopping = new();

    // Whether the last transaction could not reach the database. Then writes have waited for it since they were queued.
    private volatile bool _isAway;

    public WriteLoop(
        string schema, int number, NpgsqlDataSource dataSource, DatabaseClock clock, ReplicaFeed feed, IKvEngineHost host, TimeSpan timeout, Action<Exception?> report, Action committed)
    {
        (_schema, _feed, _host, _timeout, _report, _committed) = (schema, feed, host, timeout, report, committed);
        var statements = new WriteStatements(schema);
        _lanes = new WriteLane[WriteBacklog.Lanes];
        for (var i = 0; i < _lanes.Length; i++)
        {
            _lanes[i] = new WriteLane(i, schema, dataSource, timeout, TransactionOf, report, NoteDelay);
        }

        WriteTransaction TransactionOf(List<QueuedWrite> writes, int refusals) =>
            new(statements, number, clock, writes, write => host.RevisionOf(write.Key.Span) != 0, refusals);
    }

    /// <summary>How many writes the last transaction had.</summary>
    public int LastBatch { get; private set; }

    /// <summary>Why writes are refused; null while they are not.</summary>
    public Exception? Refusal { get; set; }

    /// <summary>Commits a write.</summary>
    public Task<KvEngineOutcome> CommitAsync(in KvEngineWrite write, CancellationToken cancellationToken)
    {
        var queued = new QueuedWrite(write);
        Add(queued, cancellationToken);
        return queued.Done;
    }

    /// <summary>A revision between those of the writes that were committed before the call and those that are committed after it.</summary>
    public async ValueTask<long> MarkAsync(CancellationToken cancellationToken)
    {
        var barrier = new QueuedWrite(new KvEngineWrite { Operation = KvEngineOperation.Check });
        Add(barrier, cancellationToken);
        return (await barrier.Done.ConfigureAwait(false)).Revision;
    }

    /// <summary>Commits what waits, and then takes nothing more.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.StopAsync().ConfigureAwait(false);
        await _backlog.WhenEnded().ConfigureAwait(false);
        _backlog.Close(new ObjectDisposedException(_host.Name));

        // What was added in between.
        await _backlog.WhenEnded().ConfigureAwait(false);
        foreach (var lane in _lanes)
        {
            await lane.DisposeAsync().ConfigureAwait(false);
        }

        _stopping.Dispose();
    }

    // The caller may hold locks, so nothing is done in its call.
    private void Add(QueuedWrite write, CancellationToken cancellationToken) => Begin(_backlog.Add(write, cancellationToken));

    private void Begin(int? lane)
    {
        if (lane is { } number)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static begun => _ = begun.Loop.RunAsync(begun.Lane), (Loop: this, Lane: _lanes[number]), preferLocal: false);
        }
    }

    // What waits does not wait for an attempt that has failed: another lane may have a connection that works.
    private void NoteDelay(WriteLane lane)
    {
        _backlog.NoteDelay(lane.Number);
        Begin(_backlog.BeginAnother());
    }

    private async Task RunAsync(WriteLane lane)
    {
        if (lane.Number > 0 && !await OpenAsync(lane).ConfigureAwait(false))
        {
            return;
        }

        while (true)
        {
            await GatherAsync(lane).ConfigureAwait(false);
            var writes = _backlog.Take(lane.Number);
            if (writes.Count == 0)
            {
                return;
            }

            Begin(_backlog.BeginAnother());
            var outcomes = await CommitAsync(lane, writes).ConfigureAwait(false);
            if (!_backlog.Release(lane.Number))
            {
                Completion.RunAtEnd(outcomes);
                return;
            }

            Completion.Run(outcomes);
        }
    }

    // Nothing waits for this: as long as a lane has no connection, the others commit everything.
    private async ValueTask<bool> OpenAsync(WriteLane lane)
    {
        try
        {
            await lane.OpenAsync(_stopping.Token).ConfigureAwait(false);
            lane.FailedOpenings = 0;
            _backlog.Opened(lane.Number);
            return true;
        }
        catch (Exception)
        {
            // The pool or the server has no place for it, or the database is away, which the first lane reports.
            await lane.DropAsync().ConfigureAwait(false);
            await Task.Delay(Failures.DelayAfter(lane.FailedOpenings++), TimeProvider.System, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _backlog.GiveUp(lane.Number);
            return false;
        }
    }

    // The callers of the last transaction go on now, and most of them write again. Without a pause, the first of them would have a
    // transaction of its own, and the others would wait for it.
    private async ValueTask GatherAsync(WriteLane lane)
    {
        for (var i = 0; i < GatheringsMax && lane.LastBatch >= GatheredFrom && _backlog.Ready is var before && before < lane.LastBatch; i++)
        {
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            if (_backlog.Ready == before)
            {
                return;
            }
        }
    }

    // Returns the writes that are decided and shown, to be completed.
    private async ValueTask<List<(QueuedWrite Write, KvEngineOutcome Outcome)>> CommitAsync(WriteLane lane, List<QueuedWrite> writes)
    {
        lane.LastBatch = LastBatch = writes.Count;
        try
        {
            if (Refusal is { } refusal)
            {
                _isAway = lane.IsAway = false;
                throw new KvPersistenceException(refusal.Message, refusal);
            }

            if (writes[0].IsBarrier)
            {
                return [(writes[0], new KvEngineOutcome { Holds = true, Revision = await lane.LastRevisionAsync().ConfigureAwait(false) })];
            }

            var transaction = await lane.CommitAsync(writes, _isAway ? writes.Min(static write => write.QueuedAt) : TimeProvider.System.GetTimestamp()).ConfigureAwait(false);
            _isAway = false;
            _report(null);
            return Outcomes(transaction);
        }
        catch (KvPersistenceException e) when (lane.IsAway && e is not KvOutcomeUnknownException)
        {
            // Nothing was written: those that have not waited long enough go on to wait.
            _isAway = true;
            _report(e);
            return await CommitInTimeAsync(lane, writes, e).ConfigureAwait(false);
        }
        catch (Exception e) when (Failures.IsOfData(e) && (writes.Count > 1 || writes[0].Superseded is not null))
        {
            // One of them is to blame, or the last put of a key: the others do not fail with it.
            return await CommitInPartsAsync(lane, writes, e).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _isAway = lane.IsAway || (_isAway && !Failures.IsRefusal(e));
            _report(e);
            var failure = FailureOf(e);
            foreach (var write in writes)
            {
                write.Fail(failure);
            }

            return [];
        }
    }

    private Exception FailureOf(Exception e) =>
        e is KvPersistenceException ? e
        : Adoption.IsMissing(e) ? new KvPersistenceException($"The table {_schema}.meta has no row, or another server takes over again and again. Nothing was written.", e)
        : LargeValueCheck.HasFailed(e) ? new KvPersistenceException(LargeValueCheck.Message, e)
        : new KvPersistenceException($"The database has refused the write: {Failures.Reason(e)}. Nothing was written.", e);

    private bool HasTimeLeft(long began) => TimeProvider.System.GetElapsedTime(began) < _timeout;

    private List<(QueuedWrite Write, KvEngineOutcome Outcome)> Outcomes(WriteTransaction transaction)
    {
        var outcomes = new List<(QueuedWrite Write, KvEngineOutcome Outcome)>(transaction.Writes.Count);
        List<(QueuedWrite Write, KvEngineOutcome Outcome)>? late = null;
        var highest = 0L;
        foreach (var write in transaction.Writes)
        {
            var outcome = transaction.OutcomeOf(write);
            highest = Math.Max(highest, outcome.Revision);
            if (write.Superseded is not null && outcome.IsMade)
            {
                // The callers of the earlier puts may look before the caller of this one has published it.
                _host.Apply(write.Write.Mutation with { Revision = outcome.Revision });
                _host.Publish();
            }

            (IsShownHere(write, outcome) ? outcomes : late ??= []).Add((write, outcome));
        }

        _feed.NoteRevision(highest);
        _committed();
        if (late is not null)
        {
            // Not here: the next transaction does not wait for it.
            _ = CompleteLaterAsync(late);
        }

        return outcomes;
    }

    // Whether memory has what the caller will look for: the entry that was touched, or that refused the write.
    private bool IsShownHere(QueuedWrite write, in KvEngineOutcome outcome)
    {
        if (write.IsPlainPut)
        {
            return true;
        }

        var known = _host.RevisionOf(write.Key.Span);
        return outcome.IsMade
            ? write.Write.Operation != KvEngineOperation.Touch || known == outcome.TouchedRevision
            : known == outcome.StandingRevision;
    }

    private async Task CompleteLaterAsync(List<(QueuedWrite Write, KvEngineOutcome Outcome)> late)
    {
        var keys = late.ConvertAll(static item => item.Write.Key);
        var began = TimeProvider.System.GetTimestamp();
        for (var attempt = 0; HasTimeLeft(began); attempt++)
        {
            try
            {
                await _feed.RefreshAsync(keys, _stopping.Token).ConfigureAwait(false);
                break;
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                break;
            }
            catch (Exception)
            {
                // The writes are decided, and their callers wait. When it takes too long, the feed shows the rest later.
                await Task.Delay(Failures.DelayAfter(attempt), TimeProvider.System).ConfigureAwait(false);
            }
        }

        foreach (var (write, outcome) in late)
        {
            write.Complete(outcome);
        }
    }
}
