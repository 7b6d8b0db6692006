using System.Text;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests;

/// <summary>
/// Keys with NUL in the path of a request line, and everything else of a connection as it was sent: whatever stands in headers
/// and bodies, and wherever the parts of a connection meet.
/// </summary>
public sealed class NulInKeysTests : IAsyncLifetime
{
    // What a scanner that loses its way would take for a request line, and change.
    private const string Bait = "GET /%00%ff HTTP/1.1\r\nHost: fake-host\r\n\r\n";

    private KvNamespaceCatalog _catalog = null!;
    private KvCatalogEntry _entry = null!;
    private TestHost _host = null!;

    public static TheoryData<string> Heads =>
    [
        "",
        $"X-Long: {new string('h', 500)}\r\n",
        $"X-Long: {new string('h', 520)}\r\n",
        $"X-Long: {new string('h', 5000)}\r\n",
        $"{new string('H', 600)}: v\r\n",
        "X-Length:\r\nX-Encoding: Transfer-Encoding: chunked\r\n",
        "Connection: keep-alive, X-Extra\r\n",
        "Connection: upgrade\r\nUpgrade: nothing\r\n",
    ];

    private KvNamespace Kv => (KvNamespace)_entry.Namespace;

    public async Task InitializeAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync();
        _entry = await _catalog.CreateAsync("tested");
        _host = await TestHost.StartAsync(_catalog, app =>
        {
            app.MapGet("/elsewhere", () => "not an endpoint of KvStore");
            app.MapKvBinding();
        });
    }

    public async Task DisposeAsync()
    {
        await _host.DisposeAsync();
        await _catalog.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Heads))]
    public async Task A_body_is_stored_as_it_was_sent_whatever_headers_come_before(string head)
    {
        var body = string.Concat(Enumerable.Repeat(Bait, 40)) + "%00%FF/%00 ?%00\r\n";
        foreach (var isChunked in new[] { false, true })
        {
            using var client = await WireClient.ConnectAsync(_host.Url);
            await client.SendAsync(Put("a%00b", head, body, isChunked));
            await client.SendAsync(Get("a%00b", "Connection: close\r\n"));

            var answers = await client.ReadToEndAsync();

            (await Kv.GetTextAsync("a\0b")).Should().Be(body, answers);
            if (!head.Contains("Upgrade", StringComparison.Ordinal))
            {
                answers.Should().EndWith(body);
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(64)]
    public async Task Requests_that_come_in_pieces_are_what_they_are_as_a_whole(int pieceBytes)
    {
        var requests = Put("%00", "", Bait, isChunked: false) + Put("%00%00", "X: y\r\n", Bait + Bait, isChunked: true) + "\r\n" + Put("%ff", "", "", isChunked: false)
            + Put("x%00/%25%41", "", Bait, isChunked: false) + Get("%00", "") + Get("%00%00?urlencoded=true&x=%00", "Connection: close\r\n");
        using var client = await WireClient.ConnectAsync(_host.Url);
        var answer = client.ReadToEndAsync();
        var bytes = Encoding.ASCII.GetBytes(requests);
        for (var i = 0; i < bytes.Length; i += pieceBytes)
        {
            await client.SendAsync(bytes.AsMemory(i, Math.Min(pieceBytes, bytes.Length - i)));
        }

        Statuses(await answer).Should().Equal(200, 200, 400, 200, 200, 200);
        (await Kv.GetTextAsync("\0")).Should().Be(Bait);
        (await Kv.GetTextAsync("\0\0")).Should().Be(Bait + Bait);
        (await Kv.GetTextAsync("x\0/%A")).Should().Be(Bait);
        Kv.Count.Should().Be(3);
    }

    [Fact]
    public async Task Request_split_at_any_byte_stores_an_equal_value()
    {
        var requests = Encoding.ASCII.GetBytes(Put("%00", "", Bait, isChunked: true) + Put("%00%00", "Connection: close\r\n", Bait, isChunked: false));
        for (var at = 1; at < requests.Length; at++)
        {
            using var client = await WireClient.ConnectAsync(_host.Url);
            await client.SendAsync(requests.AsMemory(0, at));
            await client.SendAsync(requests.AsMemory(at));

            Statuses(await client.ReadToEndAsync()).Should().NotContain(status => status != 200, $"split at {at}");
            (await Kv.GetTextAsync("\0")).Should().Be(Bait);
            (await Kv.GetTextAsync("\0\0")).Should().Be(Bait);
            await Kv.DeleteAsync("\0");
            await Kv.DeleteAsync("\0\0");
        }
    }

    [Fact]
    public async Task After_a_body_that_was_not_read_the_next_key_is_right()
    {
        using var client = await WireClient.ConnectAsync(_host.Url);
        await client.SendAsync($"PUT /k?expiration_ttl=1 HTTP/1.1\r\nHost: fake-host\r\nX-Namespace: tested\r\nContent-Length: {Bait.Length}\r\n\r\n{Bait}");
        await client.SendAsync(Put("%00", "", "v", isChunked: false));
        await client.SendAsync(Get("%00", "Connection: close\r\n"));

        Statuses(await client.ReadToEndAsync()).Should().Equal(400, 200, 200);
        (await Kv.GetTextAsync("\0")).Should().Be("v");
    }

    [Fact]
    public async Task After_chunks_that_were_not_read_nothing_more_is_read_of_the_connection()
    {
        using var client = await WireClient.ConnectAsync(_host.Url);
        await client.SendAsync(Put("k?expiration_ttl=1", "", Bait, isChunked: true) + Put("%00", "", "v", isChunked: false));

        Statuses(await client.ReadToEndAsync()).Should().Equal(400);
        Kv.Count.Should().Be(0);
    }

    [Fact]
    public async Task After_a_request_that_another_endpoint_has_answered_nothing_is_changed()
    {
        using var client = await WireClient.ConnectAsync(_host.Url);
        await client.SendAsync("GET /elsewhere HTTP/1.1\r\nHost: fake-host\r\n\r\n");
        await client.SendAsync(Get("%FF", "") + Put("k", "", Bait, isChunked: false) + Get("%00", "Connection: close\r\n"));

        // A %FF that was sent is no NUL; the request after one of KvStore's own is looked at again.
        Statuses(await client.ReadToEndAsync()).Should().Equal(200, 400, 200, 404);
        (await Kv.GetTextAsync("k")).Should().Be(Bait);
    }

    private static string Put(string key, string head, string body, bool isChunked)
    {
        var chunks = isChunked ? $"Transfer-Encoding: chunked\r\n\r\n5;x=%00\r\n{body.PadRight(5)[..5]}\r\n{Math.Max(body.Length - 5, 1):x}\r\n{(body.Length > 5 ? body[5..] : " ")}\r\n0\r\n\r\n" : $"Content-Length: {body.Length}\r\n\r\n{body}";
        return $"PUT /{key} HTTP/1.1\r\nHost: fake-host\r\nX-Namespace: tested\r\n{head}{chunks}";
    }

    private static string Get(string key, string head) => $"GET /{key} HTTP/1.1\r\nHost: fake-host\r\nX-Namespace: tested\r\n{head}\r\n";

    // The bodies in these tests hold request lines and no status lines.
    private static IEnumerable<int> Statuses(string answers) =>
        System.Text.RegularExpressions.Regex.Matches(answers, "HTTP/1\\.1 (\\d{3}) ").Select(match => int.Parse(match.Groups[1].ValueSpan));
}
