using Npgsql;

namespace KvStore.PostgreSql.Connections;

/// <summary>One connection that is kept open, and opened again after it was lost.</summary>
/// <remarks>One caller at a time.</remarks>
internal sealed class Link(NpgsqlDataSource dataSource) : IAsyncDisposable
{
    private NpgsqlConnection? _connection;

    /// <summary>The connection, open.</summary>
    public async ValueTask<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        if (_connection is { State: System.Data.ConnectionState.Open } open)
        {
            return open;
        }

        await DropAsync().ConfigureAwait(false);
        return _connection = await dataSource.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes the connection after a failure. The pool decides whether it can be used again.</summary>
    public async ValueTask DropAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            try
            {
                await connection.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception)
            {
                // It was lost, which the driver shows in many ways.
            }
        }
    }

    public ValueTask DisposeAsync() => DropAsync();
}
