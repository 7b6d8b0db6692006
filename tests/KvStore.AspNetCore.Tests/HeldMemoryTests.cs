using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KvStore.AspNetCore.Tests;

/// <summary>
/// What clients hold that announce much and send nothing, or ask for much and read nothing: as many as there may be, all at
/// once. Runs while nothing else does, since it looks at the memory of the process.
/// </summary>
[Collection(nameof(LoadTests))]
public sealed class HeldMemoryTests : IAsyncLifetime
{
    private const string Secret = "a-secret-of-enough-length";
    private const int MiB = 1024 * 1024;
    private const int Clients = 100;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-held-").FullName;
    private readonly List<WireClient> _clients = [];
    private KvNamespaceCatalog? _catalog;
    private KvCatalogEntry _entry = null!;
    private TestHost? _api;
    private TestHost? _binding;
    private int _begun;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _clients.ForEach(client => client.Break());
        await _api!.DisposeAsync();
        await _binding!.DisposeAsync();
        await _catalog!.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData(false, "PUT /values/k", "v")]
    [InlineData(true, "PUT /values/k", "v")]
    [InlineData(false, "PUT /values/k multipart", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nv")]
    [InlineData(false, "PUT /bulk", "[{\"key\":\"k\",\"value\":\"v")]
    [InlineData(false, "RUNTIME /k", "v")]
    [InlineData(true, "RUNTIME /k", "v")]
    public async Task Clients_that_announce_25_MiB_and_send_a_byte_hold_next_to_nothing(bool isOnDisk, string request, string begin)
    {
        await StartAsync(isOnDisk);
        var before = GC.GetTotalMemory(forceFullCollection: true);

        for (var i = 0; i < Clients; i++)
        {
            await (await ConnectAsync(request)).SendAsync($"{Head(request)}Content-Length: {25 * MiB}\r\n\r\n{begin}");
        }

        await UntilAllHaveBegunAsync();
        (HeldSince(before) / MiB).Should().BeLessThan(25, "less than one of them has announced");
        ((KvNamespace)_entry.Namespace).Count.Should().Be(0);
    }

    [Theory]
    [InlineData(false, "GET /values/large", null)]
    [InlineData(true, "GET /values/large", null)]
    [InlineData(false, "RUNTIMEGET /large", null)]
    [InlineData(true, "RUNTIMEGET /large", null)]
    [InlineData(false, "RUNTIMEPOST /bulk/get", """{"keys":["large"]}""")]
    [InlineData(true, "RUNTIMEPOST /bulk/get", """{"keys":["large"]}""")]
    [InlineData(false, "POST /bulk/get", """{"keys":["large"]}""")]
    [InlineData(true, "POST /bulk/get", """{"keys":["large"],"withMetadata":true}""")]
    public async Task Clients_that_ask_for_25_MiB_and_read_the_head_hold_next_to_nothing(bool isOnDisk, string request, string? body)
    {
        await StartAsync(isOnDisk);

        // Every character of it is an escape in JSON, six times as long.
        await _entry.Namespace.PutAsync("large", Enumerable.Repeat((byte)1, 25 * MiB).ToArray());
        var before = GC.GetTotalMemory(forceFullCollection: true);

        for (var i = 0; i < Clients; i++)
        {
            var client = await ConnectAsync(request, receiveBytes: 4096);
            await client.SendAsync($"{Head(request)}{(body is null ? "\r\n" : $"Content-Length: {body.Length}\r\n\r\n{body}")}");
            (await client.ReadHeadAsync()).Should().StartWith("HTTP/1.1 200");
        }

        await UntilAllHaveBegunAsync();
        (HeldSince(before) / MiB).Should().BeLessThan(Clients, "each may have a part under way, less than a MiB of the 25 or 150 that it has asked for");
    }

    private static long HeldSince(long before)
    {
        var highest = 0L;
        for (var i = 0; i < 5; i++)
        {
            highest = Math.Max(highest, GC.GetTotalMemory(forceFullCollection: true) - before);
        }

        return highest;
    }

    private async Task StartAsync(bool isOnDisk)
    {
        _catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions
        {
            Directory = isOnDisk ? _directory : null,
            Persistence = new FilePersistenceOptions { Durability = Durability.Buffered },
        });
        _entry = await _catalog.CreateAsync("tested");
        _api = await TestHost.StartAsync(
            _catalog,
            app => Count(app).MapKvApi(api =>
            {
                api.AddToken(KvToken.FromSecret(Secret));
                api.BulkRequestsMax = Clients;
                api.BulkBytesInFlightMax = Clients * 26L * MiB;
            }),
            limits: Patient);
        _binding = await TestHost.StartAsync(_catalog, app => Count(app).MapKvBinding(), limits: Patient);
    }

    // Nobody is cut off while the memory is looked at.
    private static void Patient(KestrelServerLimits limits)
    {
        limits.MinRequestBodyDataRate = null;
        limits.MinResponseDataRate = null;
    }

    private WebApplication Count(WebApplication app)
    {
        app.Use(next => context =>
        {
            var handled = next(context);

            // It waits for the client by now, or it is done.
            Interlocked.Increment(ref _begun);
            return handled;
        });
        return app;
    }

    private async Task UntilAllHaveBegunAsync()
    {
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (Volatile.Read(ref _begun) < Clients)
        {
            await Task.Delay(10, end.Token);
        }
    }

    private async Task<WireClient> ConnectAsync(string request, int receiveBytes = 0)
    {
        var client = await WireClient.ConnectAsync(request.StartsWith("RUNTIME", StringComparison.Ordinal) ? _binding!.Url : _api!.Url, receiveBytes);
        _clients.Add(client);
        return client;
    }

    private string Head(string request)
    {
        var parts = request.Split(' ');
        var head = new StringBuilder();
        if (parts[0].StartsWith("RUNTIME", StringComparison.Ordinal))
        {
            head.Append($"{(parts[0] == "RUNTIME" ? "PUT" : parts[0]["RUNTIME".Length..])} {parts[1]} HTTP/1.1\r\nHost: fake-host\r\nX-Namespace: tested\r\n");
        }
        else
        {
            head.Append($"{parts[0]} /client/v4/accounts/local/storage/kv/namespaces/{_entry.Id}{parts[1]} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\n");
        }

        return parts.Length > 2 ? head.Append("Content-Type: multipart/form-data; boundary=b\r\n").ToString() : head.ToString();
    }
}
