using System.Net.Sockets;
using System.Text;

namespace KvStore.AspNetCore.Tests;

/// <summary>A client that sends what it likes, byte for byte, and may stop in the middle. No wait of it is without an end.</summary>
internal sealed class WireClient : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly TcpClient _client = new();
    private NetworkStream? _stream;

    private WireClient(int receiveBytes)
    {
        if (receiveBytes > 0)
        {
            _client.ReceiveBufferSize = receiveBytes;
        }
    }

    private NetworkStream Stream => _stream!;

    public static async Task<WireClient> ConnectAsync(string url, int receiveBytes = 0)
    {
        var client = new WireClient(receiveBytes);
        var uri = new Uri(url);
        await client._client.ConnectAsync(uri.Host, uri.Port);
        client._client.NoDelay = true;
        client._stream = client._client.GetStream();
        return client;
    }

    public Task SendAsync(string text) => SendAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes) => await Stream.WriteAsync(bytes).AsTask().WaitAsync(s_patience);

    /// <summary>Sends a part again and again, until the server does not take it any more.</summary>
    /// <returns>How many bytes went out, and what the server said.</returns>
    public async Task<(long Sent, string Answer)> SendUntilRefusedAsync(byte[] part, TimeSpan pause = default)
    {
        var answer = ReadToEndAsync();
        var sent = 0L;
        using var end = new CancellationTokenSource(s_patience);
        try
        {
            while (!answer.IsCompleted)
            {
                await Stream.WriteAsync(part, end.Token);
                sent += part.Length;
                if (pause > TimeSpan.Zero)
                {
                    await Task.WhenAny(answer, Task.Delay(pause, end.Token));
                }

                end.Token.ThrowIfCancellationRequested();
            }
        }
        catch (IOException)
        {
            // The server has closed the connection, or its reading half.
        }

        return (sent, await answer);
    }

    /// <summary>Reads until the server closes the connection, however it does.</summary>
    public async Task<string> ReadToEndAsync()
    {
        using var read = new MemoryStream();
        using var end = new CancellationTokenSource(s_patience);
        try
        {
            await Stream.CopyToAsync(read, end.Token);
        }
        catch (IOException)
        {
            // Reset: what came before counts.
        }

        return Encoding.UTF8.GetString(read.ToArray());
    }

    /// <summary>Reads the head of an answer.</summary>
    public async Task<string> ReadHeadAsync()
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await Stream.ReadAsync(one).AsTask().WaitAsync(s_patience) == 1)
        {
            head.Append((char)one[0]);
        }

        return head.ToString();
    }

    /// <summary>Says that nothing more will come, and keeps listening.</summary>
    public void EndSending() => _client.Client.Shutdown(SocketShutdown.Send);

    /// <summary>Goes away as a machine that crashes does.</summary>
    public void Break()
    {
        _client.Client.LingerState = new LingerOption(true, 0);
        _client.Dispose();
    }

    public void Dispose() => _client.Dispose();
}
