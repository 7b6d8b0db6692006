using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KvStore.AspNetCore.Tests;

/// <summary>
/// Clients that send or read so slowly that they would hold a connection for ever. Kestrel cuts them off, by a clock of its
/// own, so its limits are set as low as they go; what is tested is that neither endpoint takes them away.
/// </summary>
public sealed class SlowClientTests : IAsyncLifetime
{
    private const string Secret = "a-secret-of-enough-length";

    private readonly TaskCompletionSource _cutOff = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private KvNamespaceCatalog _catalog = null!;
    private KvCatalogEntry _entry = null!;
    private TestHost _api = null!;
    private TestHost _binding = null!;

    public static TheoryData<string> Requests =>
    [
        "PUT /values/k", "PUT /values/k multipart", "PUT /bulk", "DELETE /bulk", "POST /bulk/get", "RUNTIME /k",
    ];

    private KvNamespace Kv => (KvNamespace)_entry.Namespace;

    public async Task InitializeAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync();
        _entry = await _catalog.CreateAsync("tested");
        _api = await TestHost.StartAsync(_catalog, app => Watch(app).MapKvApi(api => api.AddToken(KvToken.FromSecret(Secret))), limits: Strict);
        _binding = await TestHost.StartAsync(_catalog, app => Watch(app).MapKvBinding(), limits: Strict);
        await Kv.PutAsync("k", "before");
    }

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        await _binding.DisposeAsync();
        await _catalog.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task A_body_that_comes_a_byte_at_a_time_is_cut_off(string request)
    {
        using var client = await ConnectAsync(request);
        await client.SendAsync(Head(request) + "Content-Length: 10000\r\n\r\n[");

        var (sent, answer) = await client.SendUntilRefusedAsync([(byte)' '], TimeSpan.FromMilliseconds(50));

        sent.Should().BeLessThan(10_000);
        answer.Should().NotContain("200 OK");
        (await Kv.GetTextAsync("k")).Should().Be("before");
        Kv.Count.Should().Be(1);
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task A_body_that_is_announced_and_never_comes_is_cut_off(string request)
    {
        using var client = await ConnectAsync(request);
        await client.SendAsync(Head(request) + "Content-Length: 26214400\r\n\r\n");

        (await client.ReadToEndAsync()).Should().NotContain("200 OK");

        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Theory]
    [InlineData("")]
    [InlineData("PUT ")]
    [InlineData("PUT / HTTP/1.1\r\nHost: ")]
    public async Task A_head_that_does_not_come_to_its_end_is_cut_off(string begin)
    {
        foreach (var host in new[] { _api, _binding })
        {
            using var client = await WireClient.ConnectAsync(host.Url);
            await client.SendAsync(begin);
            if (begin.Length > 0)
            {
                await client.SendUntilRefusedAsync([(byte)'a'], TimeSpan.FromMilliseconds(50));
            }
            else
            {
                (await client.ReadToEndAsync()).Should().BeEmpty();
            }
        }
    }

    [Theory]
    [InlineData("GET /values/large", false)]
    [InlineData("RUNTIMEGET /large", false)]
    [InlineData("POST /bulk/get", true)]
    [InlineData("RUNTIMEPOST /bulk/get", true)]
    public async Task A_client_that_never_reads_its_answer_is_cut_off(string request, bool hasBody)
    {
        await Kv.PutAsync("large", new byte[25 * 1024 * 1024]);
        using var client = await ConnectAsync(request, receiveBytes: 4096);
        const string Body = """{"keys":["large"]}""";

        await client.SendAsync($"{Head(request)}{(hasBody ? $"Content-Length: {Body.Length}\r\n\r\n{Body}" : "\r\n")}");

        await _cutOff.Task.WaitAsync(TimeSpan.FromSeconds(60));

        // Of an answer that went out as a whole, it would all be read now.
        (await client.ReadToEndAsync()).Length.Should().BeLessThan(25 * 1024 * 1024);
    }

    [Fact]
    public async Task Neither_endpoint_takes_the_limits_of_the_server_away()
    {
        await using var plain = await TestHost.StartAsync(_catalog, app =>
        {
            app.MapKvApi(api => api.AllowAnonymous());
            app.MapKvBinding(binding => binding.AllowAnonymous());
        });
        var limits = plain.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits;
        var usual = new KestrelServerLimits();

        limits.MinRequestBodyDataRate.Should().BeEquivalentTo(usual.MinRequestBodyDataRate).And.NotBeNull();
        limits.MinResponseDataRate.Should().BeEquivalentTo(usual.MinResponseDataRate).And.NotBeNull();
        limits.RequestHeadersTimeout.Should().Be(TimeSpan.FromSeconds(30));
        limits.MaxRequestLineSize.Should().Be(8 * 1024);
        limits.MaxRequestHeadersTotalSize.Should().Be(32 * 1024);
        limits.MaxRequestBodySize.Should().Be(usual.MaxRequestBodySize);
    }

    private static void Strict(KestrelServerLimits limits)
    {
        // The grace must be longer than the second between two looks at the clock.
        limits.MinRequestBodyDataRate = new MinDataRate(10_000, TimeSpan.FromSeconds(1.1));
        limits.MinResponseDataRate = new MinDataRate(1_000_000, TimeSpan.FromSeconds(1.1));
        limits.RequestHeadersTimeout = TimeSpan.FromMilliseconds(500);
        limits.KeepAliveTimeout = TimeSpan.FromMilliseconds(500);
    }

    // Completes when a request was aborted or has ended: a write may notice the end of the connection before the token does.
    private WebApplication Watch(WebApplication app)
    {
        app.Use(async (context, next) =>
        {
            await using var registration = context.RequestAborted.Register(() => _cutOff.TrySetResult());
            try
            {
                await next();
            }
            finally
            {
                _cutOff.TrySetResult();
            }
        });
        return app;
    }

    private Task<WireClient> ConnectAsync(string request, int receiveBytes = 0) =>
        WireClient.ConnectAsync(request.StartsWith("RUNTIME", StringComparison.Ordinal) ? _binding.Url : _api.Url, receiveBytes);

    private string Head(string request)
    {
        var parts = request.Split(' ');
        return parts[0].StartsWith("RUNTIME", StringComparison.Ordinal)
            ? $"{(parts[0] == "RUNTIME" ? "PUT" : parts[0]["RUNTIME".Length..])} {parts[1]} HTTP/1.1\r\nHost: fake-host\r\nX-Namespace: tested\r\n"
            : $"{parts[0]} /client/v4/accounts/local/storage/kv/namespaces/{_entry.Id}{parts[1]} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\n"
                + (parts.Length > 2 ? "Content-Type: multipart/form-data; boundary=b\r\n" : "");
    }
}
