using System.Text;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests;

/// <summary>
/// Bodies that are malformed where a parser of somebody else's reads them: bulk JSON, multipart, chunks. Made by breaking sound
/// ones at random; the seed is in the message. None may be the server's fault (500), and none may change what was stored before.
/// </summary>
public sealed class MalformedBodyTests : IAsyncLifetime
{
    private const string Secret = "a-secret-of-enough-length";
    private const int Cases = 400;

    // No broken body names this key: a short one comes about by chance, and a delete of it is sound.
    private const string Kept = "an entry that stays";

    // Seeds that once found something; then come those of this run.
    private static readonly int[] s_seeds = [1, 20261126];

    // For each kind of body. In CI new seeds are tried until it has passed, elsewhere one, and no longer than this.
    private static readonly TimeSpan s_minute = TimeSpan.FromMinutes(1);
    private static readonly bool s_isCI = Environment.GetEnvironmentVariable("CI") is "true" or "1";

    private KvNamespaceCatalog _catalog = null!;
    private KvCatalogEntry _entry = null!;
    private TestHost _api = null!;

    public static TheoryData<string, string, string> Sound => new()
    {
        { "PUT /bulk", "", """[{"key":"a\ud83d\ude00","value":"AAEC","base64":true,"metadata":{"x":[1,"é"]}},{"key":"b","value":"x\n","expiration_ttl":60}]""" },
        { "DELETE /bulk", "", """["a",{"name":"b\u00e9"},"c"]""" },
        { "POST /bulk/get", "", """{"keys":["an entry that stays","\ud83d\ude00"],"type":"json","withMetadata":true,"cacheTtl":"60"}""" },
        { "PUT /values/new", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nnew value\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a\":1}\r\n--b--\r\n" },
        { "PUT /values/new", "", "4\r\nabcd\r\n5;x=y\r\nefghi\r\n0\r\nTrailer: v\r\n\r\n" },
        { "PUT ", "", """{"title":"tested\ud83d\ude00"}""" },
    };

    public async Task InitializeAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync();
        _entry = await _catalog.CreateAsync("tested");
        _api = await TestHost.StartAsync(_catalog, app => app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Secret))));
        await _entry.Namespace.PutAsync(Kept, "[1]");
    }

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        await _catalog.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Sound))]
    public async Task No_broken_body_is_the_servers_fault(string request, string type, string sound)
    {
        var isChunks = sound.StartsWith("4\r\n", StringComparison.Ordinal);
        using var end = new CancellationTokenSource(s_minute);
        foreach (var seed in Seeds(end.Token))
        {
            var random = new Random(seed);
            for (var i = 0; i < Cases && !end.IsCancellationRequested; i++)
            {
                var body = Break(Encoding.UTF8.GetBytes(sound), random);
                var status = await SendAsync(request, type, body, isChunks, breaksOff: isChunks);

                // Nothing at all when the connection was reset under the answer.
                status.Should().Match(code => code.Length == 0 || code[0] == '2' || code[0] == '4', $"{status} of seed {seed}, case {i}: {Encoding.Latin1.GetString(body)}");
                (await _entry.Namespace.GetTextAsync(Kept)).Should().Be("[1]");
            }
        }
    }

    [Theory]
    [InlineData("PUT /bulk", "", """[{"key":"k2","value":"\ud800","base64":true}]""")]
    [InlineData("PUT /values/new", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nv\r\n--bGARBAGE\r\n\r\n")]
    [InlineData("PUT /values/new", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nv\r\n--bLONG\r\n\r\n")]
    [InlineData("PUT /values/new", "multipart/form-data; boundary=b", "--b\r\nno header\r\n\r\nv\r\n--b--\r\n")]
    [InlineData("PUT /values/new", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n1\r\n--bLONG")]
    public async Task Body_that_once_caused_a_server_error_is_400(string request, string type, string body)
    {
        body = body.Replace("LONG", new string('G', 300));

        (await SendAsync(request, type, Encoding.UTF8.GetBytes(body), isChunks: false, breaksOff: false)).Should().Be("400");

        ((KvNamespace)_entry.Namespace).Count.Should().Be(1);
    }

    [Theory]
    [InlineData("7FFFFFFFF\r\nabc")]
    [InlineData("FFFFFFFFFFFFFFFFFFFFF\r\nabc")]
    [InlineData("80000000\r\nabc")]
    [InlineData("-1\r\nabc")]
    [InlineData("x\r\nabc")]
    [InlineData("4\r\nabcdXYZ")]
    public async Task Chunks_that_cannot_be_are_400(string chunks)
    {
        foreach (var request in new[] { "PUT /values/new", "PUT /bulk", "POST /bulk/get", "PUT " })
        {
            (await SendAsync(request, "", Encoding.UTF8.GetBytes(chunks), isChunks: true, breaksOff: false)).Should().BeOneOf("400", "413");
        }

        ((KvNamespace)_entry.Namespace).Count.Should().Be(1);
    }

    private static IEnumerable<int> Seeds(CancellationToken end)
    {
        foreach (var seed in s_seeds)
        {
            yield return seed;
        }

        var next = Environment.TickCount;
        do
        {
            yield return next++;
        }
        while (s_isCI && !end.IsCancellationRequested);
    }

    private static byte[] Break(byte[] sound, Random random)
    {
        var bytes = sound.ToList();
        for (var n = random.Next(1, 4); n > 0; n--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 8), bytes.Count - at));
                    break;
                case 2:
                    bytes.InsertRange(at, bytes.Skip(random.Next(bytes.Count)).Take(random.Next(1, 40)).ToArray());
                    break;
                case 3:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(new[] { "\\ud800", "\\udc00", "\r\n--b", "\0", "\"", "FFFFFFFF", "{", new string('x', 400) }[random.Next(8)]));
                    break;
                case 4:
                    bytes.InsertRange(at, [(byte)random.Next(0x80, 0x100), (byte)random.Next(0x80, 0x100)]);
                    break;
                default:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
            }

            if (bytes.Count == 0)
            {
                break;
            }
        }

        return [.. bytes];
    }

    private async Task<string> SendAsync(string request, string type, byte[] body, bool isChunks, bool breaksOff)
    {
        var parts = request.Split(' ');
        using var client = await WireClient.ConnectAsync(_api.Url);
        var head = $"{parts[0]} /client/v4/accounts/local/storage/kv/namespaces/{_entry.Id}{parts[1]} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\nConnection: close\r\n"
            + (type.Length > 0 ? $"Content-Type: {type}\r\n" : "") + (isChunks ? "Transfer-Encoding: chunked\r\n\r\n" : $"Content-Length: {body.Length}\r\n\r\n");
        await client.SendAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. body]);
        if (breaksOff)
        {
            // Chunks without an end would be waited for.
            client.EndSending();
        }

        var answer = await client.ReadToEndAsync();
        return answer.Length > 12 ? answer.Substring(9, 3) : "";
    }
}
