using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// What does a page cost that comes from the output cache of ASP.NET Core? Requests over one connection on loopback, for the framework's
/// store in memory and for a namespace, beside an endpoint without a cache that returns the same bytes.
/// </summary>
internal static class OutputCacheQuestions
{
    private const string Baseline = "the framework's store in memory";

    // The last byte of a page. It is in no header, so that answers can be counted whose lengths differ by a digit of the header Age.
    private const byte End = 4;

    public static IEnumerable<Question> All()
    {
        foreach (var bytes in new[] { 2_000, 50_000 })
        {
            yield return new(string.Create(CultureInfo.InvariantCulture, $"output/hit {bytes:N0}"), session => AskAsync(session, bytes).GetAwaiter().GetResult());
        }
    }

    private static async Task AskAsync(Session session, int bytes)
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-output-").FullName;
        byte[] page = [.. Enumerable.Repeat((byte)'v', bytes - 1), End];
        (string Name, Action<IServiceCollection>? Register)[] kinds =
        [
            ("no cache", null),
            (Baseline, static services => services.AddOutputCache()),
            ("AddKvOutputCache", static services => services.AddKvNamespace("CACHE_KV").AddKvOutputCache("CACHE_KV")),
            ("AddKvOutputCache, on disk", services => services.AddKvNamespace("CACHE_KV", kv => kv.PersistTo(directory)).AddKvOutputCache("CACHE_KV")),
        ];
        var apps = new List<WebApplication>();
        var clients = new List<Client>();
        try
        {
            foreach (var (_, register) in kinds)
            {
                var app = await StartAsync(register, page);
                apps.Add(app);
                clients.Add(new Client(new Uri(app.Urls.First()), page.Length));
            }

            var steps = session.Options.IsShort ? 64 : 1024;
            new SideBySide(string.Create(CultureInfo.InvariantCulture, $"output/hit: a page of {bytes:N0} bytes, one request at a time"), session)
            {
                Baseline = Baseline,
                OperationsPerRound = steps * 8,
                StepsPerCallMax = 64,
                Unit = "us/request",
                NanosecondsPerUnit = 1000,
                IsOnOtherThreads = true,
            }.Run([.. kinds.Zip(clients).Select(pair => new Contender(pair.First.Name, steps, 1, range => pair.Second.Run(range)))]);
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
            foreach (var app in apps)
            {
                await app.StopAsync();
                await app.DisposeAsync();
            }

            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task<WebApplication> StartAsync(Action<IServiceCollection>? register, byte[] page)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        register?.Invoke(builder.Services);
        var app = builder.Build();
        var endpoint = app.MapGet("/page", () => TypedResults.Bytes(page, "text/plain"));
        if (register is not null)
        {
            app.UseOutputCache();
            endpoint.CacheOutput(static policy => policy.Expire(TimeSpan.FromHours(1)).Tag("pages"));
        }

        await app.StartAsync();
        return app;
    }

    private sealed class Client : IDisposable
    {
        private static readonly byte[] s_request = Encoding.ASCII.GetBytes("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");

        private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private readonly byte[] _answer;

        public Client(Uri url, int pageBytes)
        {
            _answer = new byte[pageBytes + 4096];
            _socket.Connect(url.Host, url.Port);

            // The second one comes from the cache.
            Run(..2);
            if (!_answer.AsSpan().StartsWith("HTTP/1.1 200"u8))
            {
                throw new InvalidOperationException(Encoding.ASCII.GetString(_answer, 0, 100));
            }
        }

        public int Run(Range range)
        {
            var sum = 0;
            for (var i = range.Start.Value; i < range.End.Value; i++)
            {
                _socket.Send(s_request);
                var received = 0;
                do
                {
                    received += _socket.Receive(_answer, received, _answer.Length - received, SocketFlags.None);
                }
                while (_answer[received - 1] != End);

                sum += received;
            }

            return sum;
        }

        public void Dispose() => _socket.Dispose();
    }
}
