using System.Text;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests;

/// <summary>Clients that go away in the middle, and bodies, headers and request lines without an end.</summary>
public sealed class BrokenClientTests : IAsyncLifetime
{
    private const string Secret = "a-secret-of-enough-length";
    private const int MiB = 1024 * 1024;

    private KvNamespaceCatalog _catalog = null!;
    private KvCatalogEntry _entry = null!;
    private TestHost _api = null!;
    private TestHost _binding = null!;

    public static TheoryData<string, string, string> Uploads => new()
    {
        { "a value", "PUT /values/k", "the beginning of a value" },
        { "parts", "PUT /values/k\nContent-Type: multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nthe beginning" },
        { "parts, of which the first is whole", "PUT /values/k\nContent-Type: multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nnew\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a" },
        { "a bulk put", "PUT /bulk", "[{\"key\":\"k\",\"value\":\"the beginning" },
        { "a bulk delete", "DELETE /bulk", "[\"k" },
        { "a bulk delete by post", "POST /bulk/delete", "[\"k" },
        { "the runtime's put", "RUNTIME /k?urlencoded=true", "the beginning of a value" },
    };

    private KvNamespace Kv => (KvNamespace)_entry.Namespace;

    public async Task InitializeAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync();
        _entry = await _catalog.CreateAsync("tested");
        _api = await TestHost.StartAsync(_catalog, app => app.MapKvApi(api =>
        {
            api.AddToken(KvToken.FromSecret(Secret));
            api.BulkBytesMax = 2 * MiB;
        }));
        _binding = await TestHost.StartAsync(_catalog, app => app.MapKvBinding());
        await Kv.PutAsync("k", "before", new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
    }

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        await _binding.DisposeAsync();
        await _catalog.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Uploads))]
    public async Task An_upload_that_breaks_off_changes_nothing(string what, string request, string body)
    {
        foreach (var framing in new[] { $"Content-Length: {Encoding.UTF8.GetByteCount(body) + 1}", "Transfer-Encoding: chunked" })
        {
            foreach (var isReset in new[] { false, true })
            {
                using var client = await ConnectAsync(request);
                await client.SendAsync($"{Head(request)}{framing}\r\n\r\n{(framing[0] == 'T' ? $"{Encoding.UTF8.GetByteCount(body):X}\r\n{body}\r\n" : body)}");
                if (isReset)
                {
                    client.Break();
                }
                else
                {
                    client.EndSending();
                    (await client.ReadToEndAsync()).Should().NotContain("200 OK", what);
                }
            }
        }

        await StopAsync();
        Kv.Count.Should().Be(1);
        var entry = await Kv.GetAsync("k");
        entry.GetText().Should().Be("before");
        entry.Metadata.ToString().Should().Be("1");
    }

    [Fact]
    public async Task Of_a_bulk_put_that_breaks_off_the_entries_before_are_there_whole_and_no_other()
    {
        using (var client = await WireClient.ConnectAsync(_api.Url))
        {
            await client.SendAsync($"{Head("PUT /bulk")}Content-Length: 1000\r\n\r\n[{{\"key\":\"a\",\"value\":\"1\",\"metadata\":2}},{{\"key\":\"b\",\"value\":\"2\"}},{{\"key\":\"c\",\"val");
            client.EndSending();
            (await client.ReadToEndAsync()).Should().NotContain("200 OK");
        }

        await StopAsync();
        (await Kv.GetAsync("c")).Exists.Should().BeFalse();
        foreach (var (key, value) in await Kv.GetManyAsync(["a", "b"]))
        {
            var whole = key == "a" ? "1" : "2";
            (value.GetText() ?? whole).Should().Be(whole);
            value.Metadata.ToString().Should().Be(key == "a" && value.Exists ? "2" : "null");
        }
    }

    [Theory]
    [InlineData("PUT /values/k", 27 * MiB)]
    [InlineData("PUT /values/k\nContent-Type: multipart/form-data; boundary=b", 27 * MiB)]
    [InlineData("PUT /bulk", 4 * MiB)]
    [InlineData("DELETE /bulk", 4 * MiB)]
    [InlineData("POST /bulk/get", 4 * MiB)]
    [InlineData("PUT ", 4 * MiB)]
    [InlineData("RUNTIME /k?urlencoded=true", 27 * MiB)]
    [InlineData("RUNTIMEPOST /bulk/get", 4 * MiB)]
    public async Task A_chunked_body_that_never_ends_is_refused_at_its_limit(string request, int limit)
    {
        var isBulk = !request.Contains("values") && !request.Contains("/k");
        var begin = request.Contains("multipart") ? "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\n"
            : !isBulk ? "v"
            : request is "PUT /bulk" ? "[{\"key\":\"x\",\"value\":\"" : request is "DELETE /bulk" ? "[\"" : "{\"keys\":[\"";
        using var client = await ConnectAsync(request);
        await client.SendAsync($"{Head(request)}Transfer-Encoding: chunked\r\n\r\n{begin.Length:X}\r\n{begin}\r\n");

        var (sent, answer) = await client.SendUntilRefusedAsync(Encoding.ASCII.GetBytes($"10000\r\n{new string('a', 0x10000)}\r\n"));

        // A few megabytes more are under way in buffers.
        sent.Should().BeLessThan(limit + (16L * MiB));
        if (answer.Length > 0)
        {
            answer.Should().StartWith("HTTP/1.1 4");
            answer.Should().Contain("HTTP/1.1 413");
        }

        await StopAsync();
        Kv.Count.Should().Be(1);
        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Theory]
    [InlineData("GET /values/k", "HTTP/1.1 414")]
    [InlineData("RUNTIME /k", "HTTP/1.1 414")]
    public async Task A_request_line_without_an_end_is_refused(string request, string status)
    {
        using var client = await ConnectAsync(request);
        await client.SendAsync(request.StartsWith("RUNTIME", StringComparison.Ordinal) ? "GET /" : "GET /client/v4/");

        var (sent, answer) = await client.SendUntilRefusedAsync(Encoding.ASCII.GetBytes(new string('k', 1024)));

        sent.Should().BeLessThan(16 * MiB);
        answer.Should().Match(text => text.Length == 0 || text.StartsWith(status));
    }

    [Theory]
    [InlineData("PUT /values/k")]
    [InlineData("RUNTIME /k")]
    public async Task Headers_without_an_end_are_refused(string request)
    {
        using var one = await ConnectAsync(request);
        await one.SendAsync(Head(request) + "X-Long: ");
        var (sentOfOne, answerToOne) = await one.SendUntilRefusedAsync(Encoding.ASCII.GetBytes(new string('h', 1024)));
        using var many = await ConnectAsync(request);
        await many.SendAsync(Head(request));
        var (sentOfMany, answerToMany) = await many.SendUntilRefusedAsync(Encoding.ASCII.GetBytes("X: y\r\n"));

        sentOfOne.Should().BeLessThan(16 * MiB);
        sentOfMany.Should().BeLessThan(16 * MiB);
        foreach (var answer in new[] { answerToOne, answerToMany })
        {
            answer.Should().Match(text => text.Length == 0 || text.StartsWith("HTTP/1.1 431"));
        }

        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Theory]
    [InlineData("PUT /values/k", "Content-Length: 1\r\nContent-Length: 2")]
    [InlineData("PUT /values/k", "Content-Length: -1")]
    [InlineData("PUT /values/k", "Content-Length: 99999999999999999999")]
    [InlineData("PUT /values/k", "Transfer-Encoding: chunked, gzip")]
    [InlineData("RUNTIME /k", "Transfer-Encoding: gzip")]
    public async Task A_length_that_cannot_be_understood_is_no_way_to_put_something(string request, string framing)
    {
        using var client = await ConnectAsync(request);
        await client.SendAsync($"{Head(request)}{framing}\r\n\r\n5\r\nafter\r\n0\r\n\r\n");
        client.EndSending();

        // A connection that is reset while bytes are under way may take the answer along.
        (await client.ReadToEndAsync()).Should().Match(answer => answer.Length == 0 || answer.StartsWith("HTTP/1.1 4"));
        await StopAsync();
        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Fact]
    public async Task Contradicting_lengths_use_the_chunks_and_end_the_connection()
    {
        using var client = await WireClient.ConnectAsync(_api.Url);
        await client.SendAsync($"{Head("PUT /values/k")}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nafter\r\n0\r\n\r\nDELETE / HTTP/1.1\r\n");

        var answer = await client.ReadToEndAsync();

        answer.Should().StartWith("HTTP/1.1 200").And.Contain("Connection: close");
        answer.Split("HTTP/1.1").Should().HaveCount(2, "what follows is no further request");
        (await Kv.GetTextAsync("k")).Should().Be("after");
    }

    private Task<WireClient> ConnectAsync(string request) =>
        WireClient.ConnectAsync(request.StartsWith("RUNTIME", StringComparison.Ordinal) ? _binding.Url : _api.Url);

    // The head without the header that says how long the body is, and without the line that ends it.
    private string Head(string request)
    {
        var lines = request.Split('\n');
        var (method, path) = lines[0].Split(' ') is [var first, var second] ? (first, second) : throw new ArgumentException(request);
        var head = method.StartsWith("RUNTIME", StringComparison.Ordinal)
            ? $"{(method == "RUNTIMEPOST" ? "POST" : "PUT")} {path} HTTP/1.1\r\nHost: fake-host\r\nX-Namespace: tested\r\n"
            : $"{method} /client/v4/accounts/local/storage/kv/namespaces/{_entry.Id}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\n";
        return head + string.Concat(lines.Skip(1).Select(line => line + "\r\n"));
    }

    // When a server has stopped, it has seen the end of every connection.
    private async Task StopAsync()
    {
        await _api.DisposeAsync();
        await _binding.DisposeAsync();
    }
}
