using System.Net;
using System.Net.Sockets;

namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>Stands between a client on a loopback port and a server on a Unix socket, and disturbs their connections.</summary>
internal sealed class CuttingProxy : IAsyncDisposable
{
    private readonly string _socket;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Lock _lock = new();
    private readonly List<(Socket Client, Socket Server)> _open = [];
    private readonly Task _accepting;
    private volatile bool _isClosed;
    private volatile bool _refuses;
    private volatile bool _swallowsReplies;

    public CuttingProxy(string socket)
    {
        _socket = socket;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>Whether new connections are closed at once.</summary>
    public bool Refuses
    {
        get => _refuses;
        set => _refuses = value;
    }

    /// <summary>Whether the replies of the server are lost, and the connections stay open.</summary>
    public bool SwallowsReplies
    {
        get => _swallowsReplies;
        set => _swallowsReplies = value;
    }

    /// <summary>Closes all connections.</summary>
    public void Cut()
    {
        List<(Socket Client, Socket Server)> open;
        lock (_lock)
        {
            open = [.. _open];
            _open.Clear();
        }

        foreach (var (client, server) in open)
        {
            client.Dispose();
            server.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _isClosed = true;
        _listener.Stop();
        Cut();
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        while (!_isClosed)
        {
            try
            {
                var client = await _listener.AcceptSocketAsync();
                if (_refuses)
                {
                    client.Dispose();
                    continue;
                }

                var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await server.ConnectAsync(new UnixDomainSocketEndPoint(_socket));
                lock (_lock)
                {
                    _open.Add((client, server));
                }

                _ = CopyAsync(client, server, isReply: false);
                _ = CopyAsync(server, client, isReply: true);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The server is down, or the test has ended.
            }
        }
    }

    private async Task CopyAsync(Socket from, Socket to, bool isReply)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer) is var count and > 0)
            {
                if (!(isReply && _swallowsReplies))
                {
                    await to.SendAsync(buffer.AsMemory(0, count));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Cut.
        }

        from.Dispose();
        to.Dispose();
    }
}
