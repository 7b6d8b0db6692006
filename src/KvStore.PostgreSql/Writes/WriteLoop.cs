using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.LargeValues;
using KvStore.PostgreSql.Schema;
using Npgsql;

namespace KvStore.PostgreSql.Writes;

/// <summary>Commits the writes of this process: whatever waits goes together in one transaction, one after the other.</summary>
/// <remarks>
/// <para>When the connection is lost while a transaction is committed, its outcome is not known. Each transaction inserts a row with a
/// number of its own. So another connection tries to insert that row: when that fails, the transaction was committed, and when it
/// succeeds, the transaction was not committed and cannot be any more, however late it arrives at the server. Only then it is tried again.
/// So no write is made twice, conditional ones included.</para>
/// <para>Time is that of the system: a network does not obey the clock of a test.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed partial class WriteLoop : IAsyncDisposable
{
    private const int GatheredFrom = 8;
    private const int GatheringsMax = 64;

    /// <summary>The first attempt gets this part of the time, so that there is time for another connection.</summary>
    public const int FirstAttemptShare = 3;

    // A slow network needs time for many bytes.
    private const int DoublingsMax = 4;
    private const int BytesPerSecondMin = 512 * 1024;

    private readonly string _schema;
    private readonly WriteStatements _statements;
    private readonly int _number;
    private readonly Link _link;
    private readonly DatabaseClock _clock;
    private readonly ReplicaFeed _feed;
    private readonly IKvEngineHost _host;
    private readonly TimeSpan _timeout;
    private readonly Action<Exception?> _report;
    private readonly Action _committed;
    private readonly WriteBacklog _backlog = new();
    private readonly CancellationTokenSource _stopping = new();

    // Whether the last transaction could not reach the database. Then writes have waited for it since they were queued.
    private bool _isAway;

    // The connection of the last transaction, and its other end; null where that is not known.
    private NpgsqlConnection? _sessionOf;
    private ServerSession? _session;

    // The statements that this connection has had.
    private readonly HashSet<string> _sent = [];

    public WriteLoop(
        string schema, int number, Link link, DatabaseClock clock, ReplicaFeed feed, IKvEngineHost host, TimeSpan timeout, Action<Exception?> report, Action committed)
    {
        (_schema, _number, _link, _clock, _feed, _host, _timeout, _report, _committed) = (schema, number, link, clock, feed, host, timeout, report, committed);
        _statements = new WriteStatements(schema);
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
        _stopping.Dispose();
    }

    // The caller may hold locks, so nothing is done in its call.
    private void Add(QueuedWrite write, CancellationToken cancellationToken)
    {
        if (_backlog.Add(write, cancellationToken))
        {
            ThreadPool.UnsafeQueueUserWorkItem(static loop => _ = loop.RunAsync(), this, preferLocal: false);
        }
    }

    private async Task RunAsync()
    {
        while (true)
        {
            await GatherAsync().ConfigureAwait(false);
            var writes = _backlog.Take();
            var outcomes = writes.Count > 0 ? await CommitAsync(writes).ConfigureAwait(false) : [];
            if (_backlog.TryEnd())
            {
                Completion.RunAtEnd(outcomes);
                return;
            }

            Completion.Run(outcomes);
        }
    }

    // The callers of the last transaction go on now, and most of them write again. Without a pause, the first of them would have a
    // transaction of its own, and the others would wait for it.
    private async ValueTask GatherAsync()
    {
        for (var i = 0; i < GatheringsMax && LastBatch >= GatheredFrom && _backlog.Count is var before && before < LastBatch; i++)
        {
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            if (_backlog.Count == before)
            {
                return;
            }
        }
    }

    // Returns the writes that are decided and shown, to be completed.
    private async ValueTask<List<(QueuedWrite Write, KvEngineOutcome Outcome)>> CommitAsync(List<QueuedWrite> writes)
    {
        LastBatch = writes.Count;
        try
        {
            if (Refusal is { } refusal)
            {
                _isAway = false;
                throw new KvPersistenceException(refusal.Message, refusal);
            }

            if (writes[0].IsBarrier)
            {
                return [(writes[0], new KvEngineOutcome { Holds = true, Revision = await LastRevisionAsync().ConfigureAwait(false) })];
            }

            var transaction = await CommitAsync(writes, _isAway ? writes.Min(static write => write.QueuedAt) : TimeProvider.System.GetTimestamp()).ConfigureAwait(false);
            _isAway = false;
            _report(null);
            return Outcomes(transaction);
        }
        catch (KvPersistenceException e) when (_isAway && e is not KvOutcomeUnknownException)
        {
            // Nothing was written: those that have not waited long enough go on to wait.
            _report(e);
            return await CommitInTimeAsync(writes, e).ConfigureAwait(false);
        }
        catch (Exception e) when (writes.Count > 1 && Failures.IsOfData(e))
        {
            // One of them is to blame: the others do not fail with it.
            return await CommitInPartsAsync(writes).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _isAway &= !Failures.IsRefusal(e);
            _report(e);
            var failure = e is KvPersistenceException ? e
                : Adoption.IsMissing(e) ? new KvPersistenceException($"The table {_schema}.meta has no row, or another server takes over again and again. Nothing was written.", e)
                : LargeValueCheck.HasFailed(e) ? new KvPersistenceException(LargeValueCheck.Message, e)
                : new KvPersistenceException($"The database has refused the write: {Failures.Reason(e)}. Nothing was written.", e);
            foreach (var write in writes)
            {
                write.Fail(failure);
            }

            return [];
        }
    }

    private async ValueTask<long> LastRevisionAsync()
    {
        try
        {
            using var patience = new CancellationTokenSource(_timeout);
            return await _link.AskAsync(ReadAsync, Link.AnswerSecondsMax, patience.Token).ConfigureAwait(false);
        }
        catch
        {
            await _link.DropAsync().ConfigureAwait(false);
            throw;
        }

        async Task<long> ReadAsync(NpgsqlConnection connection)
        {
            using var command = new NpgsqlCommand($"SELECT last_value FROM {_schema}.revisions", connection) { CommandTimeout = Link.AnswerSecondsMax };
            return (long)(await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false))!;
        }
    }

    private async ValueTask<WriteTransaction> CommitAsync(List<QueuedWrite> writes, long began)
    {
        var refusals = 0;
        Exception? cause = null;
        for (var attempt = 0; ; attempt++)
        {
            var transaction = new WriteTransaction(_statements, _number, _clock, writes, write => _host.RevisionOf(write.Key.Span) != 0, refusals);
            var isSent = false;
            try
            {
                using var patience = new CancellationTokenSource(Left(began));
                var connection = await _link.OpenAsync(patience.Token).ConfigureAwait(false);
                if (connection != _sessionOf)
                {
                    _sessionOf = null;
                    _session = await _link.AskAsync(ServerSession.FindAsync, Link.AnswerSecondsMax, patience.Token).ConfigureAwait(false);
                    _sessionOf = connection;
                    _sent.Clear();
                }

                isSent = true;
                var seconds = AnswerSeconds(attempt, writes);
                try
                {
                    await _link.AnswerAsync(RunAsync(transaction, connection, seconds), seconds, CancellationToken.None).ConfigureAwait(false);
                }
                catch
                {
                    transaction.Abandon();
                    throw;
                }

                return transaction;
            }
            catch (Exception e) when (Adoption.IsMissing(e) && HasTimeLeft(began))
            {
                // Another server, or one that was started again. Or a key has no row, although memory knows it.
                await AdoptAsync().ConfigureAwait(false);
                refusals++;
                continue;
            }
            catch (Exception e) when (ManyPuts.IsRefusal(e))
            {
                // Rolled back. The next attempt looks for rows first.
                refusals++;
                continue;
            }
            catch (Exception e) when (Failures.IsConflict(e) && HasTimeLeft(began))
            {
                // Rolled back, and tried again.
            }
            catch (Exception e) when (!Failures.IsRefusal(e))
            {
                // Anything: the driver throws many kinds when a connection is lost.
                await DropAsync(e).ConfigureAwait(false);

                // When only the time is up, an earlier failure says more.
                cause = e is OperationCanceledException ? cause ?? new TimeoutException("No connection opened in time.", e) : e;
                _report(cause);
                if (isSent && !Failures.IsReadOnly(e) && await FindCommittedAsync(transaction, _session, e).ConfigureAwait(false) is { } committed)
                {
                    return committed;
                }

                if (!HasTimeLeft(began))
                {
                    _isAway = true;
                    throw new KvPersistenceException(
                        Invariant($"The database could not {(Failures.IsReadOnly(cause) ? "be written to" : "be reached")} for {_timeout.TotalSeconds:0.#} seconds: {Failures.Reason(cause)}. Nothing was written."), cause);
                }
            }
            catch (Exception)
            {
                await _link.DropAsync().ConfigureAwait(false);
                throw;
            }

            await Task.Delay(Failures.DelayAfter(attempt), TimeProvider.System).ConfigureAwait(false);
        }
    }

    private async ValueTask AdoptAsync()
    {
        try
        {
            using var patience = new CancellationTokenSource(_timeout);
            await _link.AskAsync(connection => Adoption.EnsureAsync(connection, _schema), Link.AnswerSecondsMax, patience.Token).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // The next attempt finds out.
            await _link.DropAsync().ConfigureAwait(false);
        }
    }

    // What a transaction has made whose connection was lost; null when it was not committed, and never will be.
    private async ValueTask<WriteTransaction?> FindCommittedAsync(WriteTransaction transaction, ServerSession? session, Exception cause)
    {
        var began = TimeProvider.System.GetTimestamp();
        var last = cause;
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                using var patience = new CancellationTokenSource(Left(began));
                return await _link.AskAsync(connection => CommitFence.FindAsync(connection, _schema, transaction, session, AnswerSeconds(0, [])), AnswerSeconds(attempt, []), patience.Token).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // That the time ran out says less than what failed before.
                last = e is OperationCanceledException && attempt > 0 ? last : e;
                _report(e);
                await DropAsync(e).ConfigureAwait(false);
            }

            if (!HasTimeLeft(began))
            {
                _isAway = true;
                throw new KvOutcomeUnknownException(
                    Invariant($"The connection to the database was lost while the write was committed ({Failures.Reason(cause)}), and for {_timeout.TotalSeconds:0.#} seconds it could not be found out whether it was ({Failures.Reason(last)}). Read the key again once the database can be reached."),
                    cause);
            }

            await Task.Delay(Failures.DelayAfter(attempt), TimeProvider.System).ConfigureAwait(false);
        }
    }

    private ValueTask DropAsync(Exception cause) => Failures.IsReadOnly(cause) ? _link.DropAllAsync() : _link.DropAsync();

    // A pooler takes another connection to the server each time, which does not have the statements that were prepared.
    private async Task<bool> RunAsync(WriteTransaction transaction, NpgsqlConnection connection, int seconds)
    {
        await transaction.RunAsync(connection, _session is null ? null : _sent, seconds, CancellationToken.None).ConfigureAwait(false);
        return true;
    }

    private int AnswerSeconds(int attempt, List<QueuedWrite> writes)
    {
        var share = Math.Max(1, (long)(_timeout.TotalSeconds / FirstAttemptShare)) << Math.Min(attempt, DoublingsMax);
        return (int)(Math.Min(share, (long)Math.Ceiling(_timeout.TotalSeconds)) + (writes.Sum(static write => write.Bytes) / BytesPerSecondMin));
    }

    private TimeSpan Left(long began)
    {
        var left = _timeout - TimeProvider.System.GetElapsedTime(began);
        return left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1);
    }

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
