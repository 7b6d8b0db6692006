using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>Stands between a client on a loopback port and a server on a Unix socket, and disturbs their connections.</summary>
internal sealed class CuttingProxy : IAsyncDisposable
{
    /// <summary>Settings of an application that waits for ever, for an answer as well as for the cancellation of a statement.</summary>
    public const string NoTimeouts = "Command Timeout=0;Cancellation Timeout=0;Keepalive=0";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Lock _lock = new();
    private readonly List<Passage> _open = [];
    private readonly Task _accepting;
    private volatile string _socket;
    private volatile bool _isClosed;
    private volatile bool _refuses;
    private volatile bool _swallows;
    private volatile bool _swallowsReplies;
    private volatile int _delayMilliseconds;
    private int _repliesLost;

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

    /// <summary>Whether new connections are accepted, and lead nowhere.</summary>
    public bool Swallows
    {
        get => _swallows;
        set => _swallows = value;
    }

    /// <summary>Whether the replies of the server are lost, and the connections stay open.</summary>
    public bool SwallowsReplies
    {
        get => _swallowsReplies;
        set => _swallowsReplies = value;
    }

    /// <summary>How often <see cref="SwallowsReplies"/> has taken a part of a reply.</summary>
    public int RepliesLost => Volatile.Read(ref _repliesLost);

    /// <summary>How long everything is on its way, in each direction.</summary>
    public int DelayMilliseconds
    {
        get => _delayMilliseconds;
        set => _delayMilliseconds = value;
    }

    /// <summary>The connection string for a database of the server, through the proxy.</summary>
    public string Through(string database, string settings = "") => new NpgsqlConnectionStringBuilder($"{database};{settings}")
    {
        Host = "127.0.0.1",
        Port = Port,
        SslMode = SslMode.Disable,
    }.ConnectionString;

    /// <summary>Leads new connections to another server.</summary>
    public void LeadTo(string socket) => _socket = socket;

    /// <summary>Closes all connections.</summary>
    public void Cut()
    {
        foreach (var passage in TakeOpen())
        {
            passage.Close();
        }
    }

    /// <summary>
    /// Half-opens all connections, as a firewall does that forgets them: what is sent from now on vanishes, in both directions, and neither
    /// side is told anything, not even that the other one has closed. The server keeps its half until <see cref="DisposeAsync"/>.
    /// </summary>
    /// <param name="afterBytes">How many more bytes of a client still arrive.</param>
    public void HalfOpen(int afterBytes = 0)
    {
        lock (_lock)
        {
            foreach (var passage in _open)
            {
                passage.BytesLeft = afterBytes;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _isClosed = true;
        _listener.Stop();
        Cut();
        await _accepting;
    }

    private List<Passage> TakeOpen()
    {
        lock (_lock)
        {
            List<Passage> open = [.. _open];
            _open.Clear();
            return open;
        }
    }

    private async Task AcceptAsync()
    {
        while (!_isClosed)
        {
            Socket? client = null;
            try
            {
                client = await _listener.AcceptSocketAsync();
                if (_refuses)
                {
                    client.Dispose();
                    continue;
                }

                var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await server.ConnectAsync(new UnixDomainSocketEndPoint(_socket));
                var passage = new Passage(client, server) { BytesLeft = _swallows ? 0 : long.MaxValue };
                lock (_lock)
                {
                    _open.Add(passage);
                }

                _ = CopyAsync(passage, client, server, isReply: false);
                _ = CopyAsync(passage, server, client, isReply: true);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The server is down or busy, which the client learns at once, or the test has ended.
                client?.Dispose();
            }
        }
    }

    private async Task CopyAsync(Passage passage, Socket from, Socket to, bool isReply)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer) is var count and > 0)
            {
                if (_delayMilliseconds is var delay and > 0)
                {
                    await Task.Delay(delay);
                }

                var isLost = isReply && _swallowsReplies;
                Interlocked.Add(ref _repliesLost, isLost ? 1 : 0);
                var passed = !isReply ? passage.Take(count) : passage.BytesLeft > 0 && !isLost ? count : 0;
                if (passed > 0)
                {
                    await to.SendAsync(buffer.AsMemory(0, passed));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Cut.
        }

        if (passage.BytesLeft > 0)
        {
            passage.Close();
        }
    }

    private sealed class Passage(Socket client, Socket server)
    {
        private long _bytesLeft;

        /// <summary>How many more bytes of the client arrive. From 0 on nothing passes, in both directions.</summary>
        public long BytesLeft
        {
            get => Volatile.Read(ref _bytesLeft);
            set => Volatile.Write(ref _bytesLeft, value);
        }

        public int Take(int count)
        {
            var taken = (int)Math.Min(count, BytesLeft);
            Interlocked.Add(ref _bytesLeft, -taken);
            return taken;
        }

        public void Close()
        {
            client.Dispose();
            server.Dispose();
        }
    }
}
