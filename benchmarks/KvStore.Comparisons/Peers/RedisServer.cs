using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace KvStore.Comparisons.Peers;

/// <summary>A Redis server of its own on a free port of the loopback, that writes nothing to the disk. It ends with this object.</summary>
internal sealed class RedisServer : IDisposable
{
    private const string Program = "redis-server";

    private readonly ScratchDirectory _directory = new();
    private readonly Process _process;

    private RedisServer(string program)
    {
        Port = FreePort();
        _process = Process.Start(new ProcessStartInfo(program)
        {
            ArgumentList =
            {
                "--port", Port.ToString(System.Globalization.CultureInfo.InvariantCulture), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--dir", _directory.Path, "--loglevel", "warning",
            },
            RedirectStandardOutput = true,
        })!;
        _process.OutputDataReceived += static (_, _) => { };
        _process.BeginOutputReadLine();
        WaitUntilItListens();
    }

    /// <summary>Why there is no server on this machine; null when there can be one.</summary>
    public static string? MissingBecause => FindProgram() is null ? "no redis-server is installed; Debian's package is redis-server" : null;

    /// <summary>The port of the loopback on which it listens.</summary>
    public int Port { get; }

    /// <summary>Starts a server, and waits until it listens; null when none is installed.</summary>
    public static RedisServer? Start() => FindProgram() is { } program ? new RedisServer(program) : null;

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        _directory.Dispose();
    }

    private static string? FindProgram() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(static folder => Path.Combine(folder, Program)).FirstOrDefault(File.Exists);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private void WaitUntilItListens()
    {
        for (var clock = Stopwatch.StartNew(); ; Thread.Sleep(10))
        {
            try
            {
                using var connection = new TcpClient();
                connection.Connect(IPAddress.Loopback, Port);
                return;
            }
            catch (SocketException) when (!_process.HasExited && clock.Elapsed < TimeSpan.FromSeconds(30))
            {
                // Not yet.
            }
        }
    }
}
