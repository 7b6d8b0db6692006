using Npgsql;

namespace KvStore.PostgreSql.Connections;

/// <summary>One connection that is kept open, and opened again after it was lost.</summary>
/// <remarks>
/// <para>A connection whose other end is gone does not say so: what is sent vanishes, and no answer comes. Therefore every wait has a bound of
/// its own. The bounds of the data source belong to the application, which may have none. A connection without an answer is given up:
/// another one takes its place at once, and what waits in the driver ends in the background.</para>
/// <para>One caller at a time.</para>
/// </remarks>
internal sealed class Link(NpgsqlDataSource dataSource) : IAsyncDisposable
{
    /// <summary>How long the server takes at most to answer a short statement, or to go on with a long answer.</summary>
    public const int AnswerSecondsMax = 10;

    private static readonly TimeSpan s_openingMax = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_closingMax = TimeSpan.FromSeconds(1);

    private NpgsqlConnection? _connection;
    private Task _givenUp = Task.CompletedTask;
    private long _progressAt;

    private TimeSpan SinceProgress => TimeProvider.System.GetElapsedTime(Volatile.Read(ref _progressAt));

    /// <summary>Opens a connection of a data source, within a bound.</summary>
    /// <exception cref="TimeoutException">It did not open in time.</exception>
    public static async ValueTask<NpgsqlConnection> OpenAsync(NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(s_openingMax);
        try
        {
            return await dataSource.OpenConnectionAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException(Invariant($"No connection to the database opened within {s_openingMax.TotalSeconds} seconds."), e);
        }
    }

    /// <summary>The connection, open.</summary>
    /// <exception cref="TimeoutException">It did not open in time.</exception>
    public async ValueTask<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        if (_connection is { State: System.Data.ConnectionState.Open } open)
        {
            return open;
        }

        await DropAsync().ConfigureAwait(false);
        return _connection = await OpenAsync(dataSource, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens the connection and runs statements on it. See <see cref="AnswerAsync"/>.</summary>
    public async ValueTask<T> AskAsync<T>(Func<NpgsqlConnection, Task<T>> statements, int seconds, CancellationToken cancellationToken)
    {
        var connection = await OpenAsync(cancellationToken).ConfigureAwait(false);
        return await AnswerAsync(statements(connection), seconds, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Waits for the end of statements that run on the connection. When the server does not answer in time, or the wait is cancelled, the
    /// connection is given up and the statements are left to themselves: they must not touch anything that somebody else uses by then.
    /// </summary>
    /// <param name="statements">The statements, whose commands have a timeout of so many seconds as well.</param>
    /// <param name="seconds">How long they take at most, from the last <see cref="NoteProgress"/> on.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="TimeoutException">The server did not answer.</exception>
    public async ValueTask<T> AnswerAsync<T>(Task<T> statements, int seconds, CancellationToken cancellationToken)
    {
        var limit = TimeSpan.FromSeconds(seconds);
        NoteProgress();
        while (true)
        {
            try
            {
                var left = limit - SinceProgress;
                return await statements.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception) when (statements.IsCompleted)
            {
                // Either its own failure, or it ended at this moment.
                return await statements.ConfigureAwait(false);
            }
            catch (TimeoutException) when (SinceProgress < limit)
            {
                // A part of the answer has come meanwhile.
            }
            catch (TimeoutException e)
            {
                GiveUp(statements);

                // Other idle connections are likely to have gone the same way.
                dataSource.Clear();
                throw new TimeoutException(Invariant($"The database has not answered for {seconds} seconds."), e);
            }
            catch (OperationCanceledException)
            {
                GiveUp(statements);
                throw;
            }
        }
    }

    /// <summary>A part of a long answer has come.</summary>
    public void NoteProgress() => Volatile.Write(ref _progressAt, TimeProvider.System.GetTimestamp());

    /// <summary>Closes the connection after a failure. The pool decides whether it can be used again.</summary>
    public async ValueTask DropAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await BoundedAsync(CloseAsync(connection)).ConfigureAwait(false);
        }
    }

    /// <summary>Closes the connection, and the idle ones of the pool, which are no better.</summary>
    public async ValueTask DropAllAsync()
    {
        await DropAsync().ConfigureAwait(false);
        dataSource.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await DropAsync().ConfigureAwait(false);
        await BoundedAsync(_givenUp).ConfigureAwait(false);
    }

    private static async ValueTask BoundedAsync(Task closing)
    {
        try
        {
            await closing.WaitAsync(s_closingMax, TimeProvider.System).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // It ends when the driver gives the connection up as well.
        }
    }

    private static async Task CloseAsync(NpgsqlConnection connection)
    {
        try
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception)
        {
            // It was lost, which the driver shows in many ways.
        }
    }

    private void GiveUp(Task statements)
    {
        var connection = _connection;
        _connection = null;
        _givenUp = Task.WhenAll(_givenUp, CloseLaterAsync());

        async Task CloseLaterAsync()
        {
            await statements.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (connection is not null)
            {
                await CloseAsync(connection).ConfigureAwait(false);
            }
        }
    }
}
