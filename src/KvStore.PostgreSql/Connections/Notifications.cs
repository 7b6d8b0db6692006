using Npgsql;

namespace KvStore.PostgreSql.Connections;

/// <summary>
/// Wakes the feeds of other processes after a commit. Nothing depends on it: a notification that is lost costs the rest
/// of the poll interval.
/// </summary>
/// <remarks>
/// A notification has no content, and is sent outside the transactions of the writes, because it takes a lock of the whole server. Several
/// commits within some milliseconds share one.
/// </remarks>
internal sealed class Notifications : IAsyncDisposable
{
    /// <summary>After how long without a notification the listener asks whether the server is still there.</summary>
    public const int HeartbeatSeconds = 3;

    /// <summary>How long the server takes at most to answer.</summary>
    public const int AnswerSecondsMax = 3;

    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(HeartbeatSeconds);

    private readonly Link _sending;
    private readonly Link _listening;
    private readonly string _channel;
    private readonly Action _wake;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _signal = new(0, 1);
    private readonly Task _loops;

    // The server process of the connection that notifies; 0 while there is none.
    private volatile int _ownProcess;

    public Notifications(NpgsqlDataSource dataSource, string channel, Action wake)
    {
        (_sending, _listening, _channel, _wake) = (new Link(dataSource), new Link(dataSource), channel, wake);
        _loops = Task.WhenAll(Task.Run(SendAsync), Task.Run(ListenAsync));
    }

    /// <summary>This process has committed something.</summary>
    public void Notify()
    {
        try
        {
            _signal.Release();
        }
        catch (SemaphoreFullException)
        {
            // One that has not been sent yet is enough.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.StopAsync().ConfigureAwait(false);
        await _loops.ConfigureAwait(false);
        await _sending.DisposeAsync().ConfigureAwait(false);
        await _listening.DisposeAsync().ConfigureAwait(false);
        _stopping.Dispose();
        _signal.Dispose();
    }

    private async Task SendAsync()
    {
        var attempt = 0;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await _signal.WaitAsync(_stopping.Token).ConfigureAwait(false);
                var connection = await _sending.OpenAsync(_stopping.Token).ConfigureAwait(false);
                _ownProcess = connection.ProcessID;
                await RunAsync(_sending, connection, $"NOTIFY {_channel}").ConfigureAwait(false);
                attempt = 0;
                await Task.Delay(s_interval, TimeProvider.System, _stopping.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception)
            {
                // Anything: the driver throws many kinds when a connection is lost, and this loop must not end.
                await RecoverAsync(_sending, attempt++).ConfigureAwait(false);
            }
        }
    }

    private async Task ListenAsync()
    {
        var attempt = 0;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var connection = await _listening.OpenAsync(_stopping.Token).ConfigureAwait(false);
                connection.Notification += OnNotification;
                await RunAsync(_listening, connection, $"LISTEN {_channel}").ConfigureAwait(false);
                while (true)
                {
                    attempt = 0;
                    if (!await connection.WaitAsync(s_heartbeat, _stopping.Token).ConfigureAwait(false))
                    {
                        // A connection whose other end is gone does not say so.
                        await RunAsync(_listening, connection, "SELECT 1").ConfigureAwait(false);
                    }
                }
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception)
            {
                // As above.
                await RecoverAsync(_listening, attempt++).ConfigureAwait(false);
            }
        }
    }

    private ValueTask<int> RunAsync(Link link, NpgsqlConnection connection, string statement)
    {
        return link.AnswerAsync(ExecuteAsync(), AnswerSecondsMax, _stopping.Token);

        async Task<int> ExecuteAsync()
        {
            using var command = new NpgsqlCommand(statement, connection) { CommandTimeout = AnswerSecondsMax };
            return await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    // What this process has written is there already.
    private void OnNotification(object sender, NpgsqlNotificationEventArgs e)
    {
        if (e.PID != _ownProcess)
        {
            _wake();
        }
    }

    private async ValueTask RecoverAsync(Link link, int attempt)
    {
        await link.DropAsync().ConfigureAwait(false);
        try
        {
            await Task.Delay(Failures.DelayAfter(attempt), TimeProvider.System, _stopping.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The loop ends.
        }
    }
}
