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
/// What does the REST API cost beyond its web server? Requests over one connection on loopback, one at a time and sixteen pipelined,
/// compared with an endpoint of a minimal API that only returns the bytes.
/// </summary>
internal static class HttpQuestions
{
    private const string Secret = "the-token-of-the-benchmark";
    private const string Baseline = "minimal API";

    public static IEnumerable<Question> All()
    {
        yield return new("http/get", session => Ask(session, isPut: false));
        yield return new("http/put", session => Ask(session, isPut: true));
    }

    private static void Ask(Session session, bool isPut)
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-http-").FullName;
        try
        {
            AskAsync(session, directory, isPut).GetAwaiter().GetResult();
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task AskAsync(Session session, string directory, bool isPut)
    {
        var value = Workload.Value(0);
        await using var catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions
        {
            Directory = directory,
            Persistence = new FilePersistenceOptions { Durability = Durability.Buffered },
        });
        var entry = await catalog.CreateAsync("measured");
        await entry.Namespace.PutAsync("key:0123456789:abcdefgh", value);
        await using var app = Start(catalog, value);
        await app.StartAsync();
        var url = new Uri(app.Urls.First());
        var path = $"/client/v4/accounts/a/storage/kv/namespaces/{entry.Id}/values/key:0123456789:abcdefgh";
        var hash = $"Authorization: Bearer {Secret}\r\n";
        foreach (var inRow in new[] { 1, 16 })
        {
            var how = inRow == 1 ? "one at a time" : $"{inRow} in a row";
            if (!isPut)
            {
                Compare(
                    $"http/get, {value.Length}-byte values, {how}", session, url, inRow,
                    (Baseline, $"GET /empty HTTP/1.1\r\nHost: x\r\n{hash}\r\n", []),
                    ("MapKvApi", $"GET {path} HTTP/1.1\r\nHost: x\r\n{hash}\r\n", []));
            }
            else
            {
                var length = $"Content-Length: {value.Length.ToString(CultureInfo.InvariantCulture)}\r\n";
                Compare(
                    $"http/put, {value.Length}-byte values, buffered, {how}", session, url, inRow,
                    (Baseline, $"PUT /empty HTTP/1.1\r\nHost: x\r\n{hash}{length}\r\n", value),
                    ("MapKvApi", $"PUT {path} HTTP/1.1\r\nHost: x\r\n{hash}{length}\r\n", value));
            }
        }

        await app.StopAsync();
    }

    private static WebApplication Start(KvNamespaceCatalog catalog, byte[] value)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(catalog);
        var app = builder.Build();
        var done = Encoding.ASCII.GetBytes("""{"success":true,"errors":[],"messages":[],"result":null}""");
        app.MapGet("/empty", () => TypedResults.Bytes(value));
        app.MapPut("/empty", async (HttpRequest request) =>
        {
            await request.Body.CopyToAsync(Stream.Null);
            return TypedResults.Bytes(done, "application/json");
        });
        app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Secret)));
        return app;
    }

    private static void Compare(string title, Session session, Uri url, int inRow, params (string Name, string Head, byte[] Body)[] requests)
    {
        var steps = session.Options.IsShort ? 64 : 2048;
        var clients = requests.Select(request => new Client(url, [.. Encoding.ASCII.GetBytes(request.Head), .. request.Body], inRow)).ToArray();
        new SideBySide(title, session)
        {
            Baseline = Baseline,
            OperationsPerRound = steps * 8,
            StepsPerCallMax = 64,
            Unit = "us/request",
            NanosecondsPerUnit = 1000,
            IsOnOtherThreads = true,
        }.Run(
        [
            .. requests.Zip(clients).Select(pair => new Contender(pair.First.Name, steps, inRow, range => pair.Second.Run(range))),
        ]);
        foreach (var client in clients)
        {
            client.Dispose();
        }
    }

    // A minimal client: it sends bytes, and reads as many bytes as the first answer had.
    private sealed class Client : IDisposable
    {
        private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private readonly byte[] _requests;
        private readonly byte[] _answers;

        public Client(Uri url, byte[] request, int inRow)
        {
            _socket.Connect(url.Host, url.Port);
            _socket.Send(request);
            var first = new byte[4096];
            var length = _socket.Receive(first);
            var text = Encoding.ASCII.GetString(first, 0, length);
            if (!text.StartsWith("HTTP/1.1 200", StringComparison.Ordinal))
            {
                throw new InvalidOperationException(text);
            }

            _requests = [.. Enumerable.Repeat(request, inRow).SelectMany(bytes => bytes)];
            _answers = new byte[length * inRow];
        }

        public int Run(Range range)
        {
            var sum = 0;
            for (var i = range.Start.Value; i < range.End.Value; i++)
            {
                _socket.Send(_requests);
                for (var received = 0; received < _answers.Length;)
                {
                    received += _socket.Receive(_answers, received, _answers.Length - received, SocketFlags.None);
                }

                sum += _answers[^1];
            }

            return sum;
        }

        public void Dispose() => _socket.Dispose();
    }
}
