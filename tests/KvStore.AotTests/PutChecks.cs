using System.IO.Pipelines;
using System.Text;
using KvStore.TestKit;
using Microsoft.Extensions.Time.Testing;

namespace KvStore.AotTests;

/// <summary>Every kind of content, what is stored with it, and deletes.</summary>
internal static class PutChecks
{
    public static async Task RunAsync(IKvNamespace kv, FakeTimeProvider clock)
    {
        await PutContentAsync(kv);
        await PutOptionsAsync(kv, clock);
        await DeleteAsync(kv);
        await RefuseAsync(kv);
    }

    private static async Task PutContentAsync(IKvNamespace kv)
    {
        var bytes = Encoding.UTF8.GetBytes("content");
        await kv.PutAsync("put:string", "content");
        await kv.PutAsync("put:array", bytes);
        await kv.PutAsync("put:memory", new ReadOnlyMemory<byte>(bytes));
        await kv.PutAsync("put:stream", new MemoryStream(bytes));
        await kv.PutAsync("put:pipe", PipeReader.Create(new MemoryStream(bytes)));
        await kv.PutAsync("put:😀", KvContent.FromBytes(bytes));
        foreach (var key in new[] { "string", "array", "memory", "stream", "pipe", "😀" })
        {
            Check.Equal("content", await kv.GetTextAsync($"put:{key}"), key);
        }

        await kv.PutAsync("put:empty", "");
        Check.Equal("", await kv.GetTextAsync("put:empty"));

        var large = new byte[3 * 1024 * 1024];
        new Random(1).NextBytes(large);
        await kv.PutAsync("put:large", new MemoryStream(large));
        Check.That((await kv.GetBytesAsync("put:large")).GetValueOrDefault().Span.SequenceEqual(large), "3 MiB come back as they were put");
    }

    private static async Task PutOptionsAsync(IKvNamespace kv, FakeTimeProvider clock)
    {
        var now = clock.GetUtcNow();
        await kv.PutAsync("put:ttl", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        await kv.PutAsync("put:expiration", "2", new KvPutOptions { Expiration = now.AddSeconds(120) });
        await kv.PutAsync("put:metadata", "3", new KvPutOptions { Metadata = KvMetadata.FromJson("""{ "n": 0 }""") });
        Check.Equal(now.AddSeconds(60), (await kv.GetAsync("put:ttl")).Expiration);
        Check.Equal(now.AddSeconds(120), (await kv.GetAsync("put:expiration")).Expiration);
        Check.Equal("""{"n":0}""", (await kv.GetAsync("put:metadata")).Metadata.ToString());

        clock.Advance(TimeSpan.FromSeconds(59));
        Check.Equal("1", await kv.GetTextAsync("put:ttl"));
        clock.Advance(TimeSpan.FromSeconds(1));
        Check.Equal(null, await kv.GetTextAsync("put:ttl"));
        Check.Equal("2", await kv.GetTextAsync("put:expiration"));

        // What is left out is cleared.
        await kv.PutAsync("put:expiration", "2b");
        await kv.PutAsync("put:metadata", "3b");
        Check.Equal(null, (await kv.GetAsync("put:expiration")).Expiration);
        Check.Equal(true, (await kv.GetAsync("put:metadata")).Metadata.IsNull);
    }

    private static async Task DeleteAsync(IKvNamespace kv)
    {
        var view = await kv.GetBytesAsync("put:string");
        await kv.DeleteAsync("put:string");
        await kv.DeleteAsync("put:never");
        Check.Equal(null, await kv.GetTextAsync("put:string"));
        Check.Bytes("content"u8, view.GetValueOrDefault().Span);
    }

    private static async Task RefuseAsync(IKvNamespace kv)
    {
        await Check.Throws<ArgumentException>("Key name cannot be empty.", () => kv.PutAsync("", "x").AsTask());
        await Check.Throws<KvException>(
            "KV PUT failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
            () => kv.PutAsync(new string('k', 513), "x").AsTask());
        await Check.Throws<KvException>(
            "KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.",
            () => kv.PutAsync("put:huge", new byte[26_214_401]).AsTask());
        await Check.Throws<KvException>(
            "KV PUT failed: 400 Invalid expiration_ttl of 30. Expiration TTL must be at least 60.",
            () => kv.PutAsync("put:short", "x", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(30) }).AsTask());
        Check.Equal(null, await kv.GetTextAsync("put:huge"));
    }
}
