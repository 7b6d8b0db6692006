using System.Text;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests;

/// <summary>Eight bulk requests at once, each of one text of 100 MB. Runs while nothing else does, since it looks at the memory of the process.</summary>
[Collection(nameof(LoadTests))]
public sealed class BulkMemoryTests : IAsyncLifetime
{
    private const string Secret = "a-secret-of-enough-length";
    private const int MiB = 1024 * 1024;
    private const int Clients = 8;
    private const int TextBytes = 100_000_000;

    private KvNamespaceCatalog _catalog = null!;
    private KvCatalogEntry _entry = null!;
    private TestHost _api = null!;

    public async Task InitializeAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync();
        _entry = await _catalog.CreateAsync("tested");
        _api = await TestHost.StartAsync(_catalog, app => app.MapKvApi(api =>
        {
            api.AddToken(KvToken.FromSecret(Secret));
            api.BulkBytesInFlightMax = 2L * Clients * TextBytes;
        }));
    }

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        await _catalog.DisposeAsync();
    }

    [Fact]
    public async Task Eight_texts_of_100_MB_are_refused_in_the_memory_of_a_few_buffers()
    {
        var part = Encoding.ASCII.GetBytes(new string('v', MiB));
        var begin = "[{\"key\":\"k\",\"value\":\"";
        var end = "\"}]";
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var highest = 0L;
        var answers = await Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            using var client = await WireClient.ConnectAsync(_api.Url);
            await client.SendAsync($"PUT /client/v4/accounts/a/storage/kv/namespaces/{_entry.Id}/bulk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\nContent-Length: {begin.Length + TextBytes + end.Length}\r\n\r\n{begin}");
            for (var sent = 0; sent < TextBytes; sent += part.Length)
            {
                await client.SendAsync(part.AsMemory(0, Math.Min(part.Length, TextBytes - sent)));
                if (sent % (25 * MiB) == 0)
                {
                    Max(ref highest, GC.GetTotalMemory(forceFullCollection: false) - before);
                }
            }

            await client.SendAsync(end);
            var head = await client.ReadHeadAsync();
            Max(ref highest, GC.GetTotalMemory(forceFullCollection: false) - before);
            return head;
        }));

        answers.Should().OnlyContain(head => head.StartsWith("HTTP/1.1 400"));
        ((KvNamespace)_entry.Namespace).Count.Should().Be(0);
        (highest / MiB).Should().BeLessThan(100, "less than one of the texts, what was not collected yet included");
    }

    private static void Max(ref long highest, long value)
    {
        for (var seen = Volatile.Read(ref highest); value > seen && Interlocked.CompareExchange(ref highest, value, seen) != seen; seen = Volatile.Read(ref highest))
        {
            // Another one was quicker.
        }
    }
}
