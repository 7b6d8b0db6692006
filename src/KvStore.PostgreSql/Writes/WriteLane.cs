using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Schema;
using Npgsql;

namespace KvStore.PostgreSql.Writes;

/// <summary>A connection over which one transaction at a time is committed.</summary>
/// <remarks>
/// <para>When the connection is lost while a transaction is committed, its outcome is not known. Each transaction inserts a row with a
/// number of its own. So another connection tries to insert that row: when that fails, the transaction was committed, and when it
/// succeeds, the transaction was not committed and cannot be any more, however late it arrives at the server. Only then it is tried again.
/// So no write is made twice, conditional ones included.</para>
/// <para>Time is that of the system: a network does not obey the clock of a test.</para>
/// <para>One caller at a time.</para>
/// </remarks>
/// <param name="number">The number of the lane.</param>
/// <param name="schema">The schema of the tables.</param>
/// <param name="dataSource">The connections.</param>
/// <param name="timeout">How long a transaction waits for a database that cannot be reached.</param>
/// <param name="begin">Makes a transaction, which has been refused so many times.</param>
/// <param name="report">Is called with each failure that is followed up.</param>
/// <param name="delayed">Is called when an attempt has failed.</param>
internal sealed class WriteLane(
    int number,
    string schema,
    NpgsqlDataSource dataSource,
    TimeSpan timeout,
    Func<List<QueuedWrite>, int, WriteTransaction> begin,
    Action<Exception> report,
    Action<WriteLane> delayed) : IAsyncDisposable
{
    /// <summary>The first attempt gets this part of the time, so that there is time for another connection.</summary>
    public const int FirstAttemptShare = 3;

    // A slow network needs time for many bytes.
    private const int DoublingsMax = 4;
    private const int BytesPerSecondMin = 512 * 1024;

    private readonly Link _link = new(dataSource);

    // The connection of the last transaction, and its other end; null where that is not known.
    private NpgsqlConnection? _sessionOf;
    private ServerSession? _session;

    // The statements that this connection has had.
    private readonly HashSet<string> _sent = [];

    public int Number => number;

    /// <summary>How many writes the last transaction had.</summary>
    public int LastBatch { get; set; }

    /// <summary>How often the connection could not be opened ahead, one time after the other.</summary>
    public int FailedOpenings { get; set; }

    /// <summary>Whether the last transaction could not reach the database.</summary>
    public bool IsAway { get; set; }

    /// <summary>Opens the connection.</summary>
    public async ValueTask<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        var connection = await _link.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (connection != _sessionOf)
        {
            _sessionOf = null;
            _session = await _link.AskAsync(ServerSession.FindAsync, Link.AnswerSecondsMax, cancellationToken).ConfigureAwait(false);
            _sessionOf = connection;
            _sent.Clear();
        }

        return connection;
    }

    /// <summary>Closes the connection.</summary>
    public ValueTask DropAsync() => _link.DropAsync();

    public ValueTask DisposeAsync() => _link.DisposeAsync();

    /// <summary>The last revision that the database has given.</summary>
    public async ValueTask<long> LastRevisionAsync()
    {
        IsAway = false;
        try
        {
            using var patience = new CancellationTokenSource(timeout);
            return await _link.AskAsync(ReadAsync, Link.AnswerSecondsMax, patience.Token).ConfigureAwait(false);
        }
        catch
        {
            await _link.DropAsync().ConfigureAwait(false);
            throw;
        }

        async Task<long> ReadAsync(NpgsqlConnection connection)
        {
            using var command = new NpgsqlCommand($"SELECT {LastRevision.Of(schema)}", connection) { CommandTimeout = Link.AnswerSecondsMax };
            return (long)(await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false))!;
        }
    }

    /// <summary>Commits writes in one transaction, in as many attempts as there is time for.</summary>
    /// <param name="writes">The writes, one for each key.</param>
    /// <param name="began">When they began to wait for the database.</param>
    /// <returns>The committed transaction.</returns>
    /// <exception cref="KvOutcomeUnknownException">It could not be found out whether the transaction was committed.</exception>
    /// <exception cref="KvPersistenceException">The database could not be reached. Nothing was written.</exception>
    public async ValueTask<WriteTransaction> CommitAsync(List<QueuedWrite> writes, long began)
    {
        IsAway = false;
        var refusals = 0;
        Exception? cause = null;
        for (var attempt = 0; ; attempt++)
        {
            var transaction = begin(writes, refusals);
            var isSent = false;
            try
            {
                using var patience = new CancellationTokenSource(Left(began));
                var connection = await OpenAsync(patience.Token).ConfigureAwait(false);
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
                if (refusals++ == 0)
                {
                    continue;
                }
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
                delayed(this);
                await DropAsync(e).ConfigureAwait(false);

                // When only the time is up, an earlier failure says more.
                cause = e is OperationCanceledException ? cause ?? new TimeoutException("No connection opened in time.", e) : e;
                report(cause);
                if (isSent && !Failures.IsReadOnly(e) && await FindCommittedAsync(transaction, _session, e).ConfigureAwait(false) is { } committed)
                {
                    return committed;
                }

                if (!HasTimeLeft(began))
                {
                    IsAway = true;
                    throw new KvPersistenceException(
                        Invariant($"The database could not {(Failures.IsReadOnly(cause) ? "be written to" : "be reached")} for {timeout.TotalSeconds:0.#} seconds: {Failures.Reason(cause)}. Nothing was written."), cause);
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
            using var patience = new CancellationTokenSource(timeout);
            await _link.AskAsync(connection => Adoption.EnsureAsync(connection, schema), Link.AnswerSecondsMax, patience.Token).ConfigureAwait(false);
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
                return await _link.AskAsync(connection => CommitFence.FindAsync(connection, schema, transaction, session, AnswerSeconds(0, [])), AnswerSeconds(attempt, []), patience.Token).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // That the time ran out says less than what failed before.
                last = e is OperationCanceledException && attempt > 0 ? last : e;
                report(e);
                await DropAsync(e).ConfigureAwait(false);
            }

            if (!HasTimeLeft(began))
            {
                IsAway = true;
                throw new KvOutcomeUnknownException(
                    Invariant($"The connection to the database was lost while the write was committed ({Failures.Reason(cause)}), and for {timeout.TotalSeconds:0.#} seconds it could not be found out whether it was ({Failures.Reason(last)}). Read the key again once the database can be reached."),
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
        var share = Math.Max(1, (long)(timeout.TotalSeconds / FirstAttemptShare)) << Math.Min(attempt, DoublingsMax);
        return (int)(Math.Min(share, (long)Math.Ceiling(timeout.TotalSeconds)) + (writes.Sum(static write => write.Bytes) / BytesPerSecondMin));
    }

    private TimeSpan Left(long began)
    {
        var left = timeout - TimeProvider.System.GetElapsedTime(began);
        return left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1);
    }

    private bool HasTimeLeft(long began) => TimeProvider.System.GetElapsedTime(began) < timeout;
}
