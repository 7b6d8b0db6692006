using System.Text;
using System.Text.Json;

namespace KvStore.AotTests;

/// <summary>Every way of reading.</summary>
internal static class GetChecks
{
    private static readonly Preference s_preference = new("dark", 14, ["a", "ü"]);

    public static async Task RunAsync(KvNamespace local)
    {
        // Through the interface, as a program would that was given any namespace; TryGet is the class's own.
        IKvNamespace kv = local;
        var metadata = KvMetadata.From(new FlagState(true, "ada"), ModelJson.Default.FlagState);
        await kv.PutAsync("text", "grün");
        await kv.PutJsonAsync("json", s_preference, ModelJson.Default.Preference, new KvPutOptions { Metadata = metadata });
        await kv.PutAsync("bytes", new byte[] { 0, 255, 1 });

        await ReadOneAsync(kv);
        await ReadEntryAsync(kv, metadata);
        await ReadManyAsync(kv);
        ReadNow(local);
    }

    private static async Task ReadOneAsync(IKvNamespace kv)
    {
        Check.Equal("grün", await kv.GetTextAsync("text"));
        Check.Equal("grün", await kv.GetTextAsync("text", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(30) }));
        Check.Equal(null, await kv.GetTextAsync("missing"));

        var preference = await kv.GetJsonAsync("json", ModelJson.Default.Preference);
        Check.Equal("dark", preference?.Theme);
        Check.Equal(14, preference?.FontPoints);
        Check.Equal("a,ü", string.Join(',', preference?.Pinned ?? []));
        Check.Equal(null, await kv.GetJsonAsync("missing", ModelJson.Default.Preference));
        try
        {
            await kv.GetJsonAsync("text", ModelJson.Default.Preference);
            Check.That(false, "text that is not JSON was read as JSON");
        }
        catch (JsonException)
        {
            Check.That(true, "text is not JSON");
        }

        var bytes = await kv.GetBytesAsync("bytes");
        Check.Bytes([0, 255, 1], bytes.GetValueOrDefault().Span);
        Check.Equal(false, (await kv.GetBytesAsync("missing")).HasValue);

        await using var stream = await kv.GetStreamAsync("text");
        Check.That(stream is { CanRead: true, CanWrite: false }, "the stream can be read and not written");
        using var reader = new StreamReader(stream!, Encoding.UTF8);
        Check.Equal("grün", await reader.ReadToEndAsync());
        Check.Equal(null, await kv.GetStreamAsync("missing"));
    }

    private static async Task ReadEntryAsync(IKvNamespace kv, KvMetadata metadata)
    {
        var entry = await kv.GetAsync("json");
        Check.Equal(true, entry.Exists);
        Check.Equal(s_preference.Theme, entry.GetJson(ModelJson.Default.Preference)?.Theme);
        Check.Equal(metadata, entry.Metadata);
        Check.Equal("""{"enabled":true,"by":"ada"}""", entry.Metadata.ToString());
        Check.Equal(new FlagState(true, "ada"), entry.Metadata.As(ModelJson.Default.FlagState));
        Check.Equal(null, entry.Expiration);
        Check.Equal(null, entry.CacheStatus);
        Check.Equal(entry.GetBytes().Length, entry.Length);
        Check.Equal(entry.GetText(), Encoding.UTF8.GetString(entry.GetBytes().Span));

        var missing = await kv.GetAsync("missing");
        Check.Equal(false, missing.Exists);
        Check.Equal(null, missing.GetText());
        Check.Equal(true, missing.Metadata.IsNull);
    }

    private static async Task ReadManyAsync(IKvNamespace kv)
    {
        string[] keys = ["text", "missing", "json", "text"];
        var entries = await kv.GetManyAsync(keys);
        Check.Equal("text,missing,json", string.Join(',', entries.Keys));
        Check.Equal("grün", entries["text"].GetText());
        Check.Equal(false, entries["missing"].Exists);
        Check.Equal(false, entries["json"].Metadata.IsNull);

        var texts = await kv.GetTextAsync(keys);
        Check.Equal("grün", texts["text"]);
        Check.Equal(null, texts["missing"]);

        var values = await kv.GetJsonAsync(["json", "missing"], ModelJson.Default.Preference);
        Check.Equal("dark", values["json"]?.Theme);
        Check.Equal(null, values["missing"]);
        await Check.Throws<KvException>(
            "KV GET_BULK failed: 400 At least one of the requested keys corresponds to a non-json value",
            () => kv.GetJsonAsync(["text"], ModelJson.Default.Preference).AsTask());
        await Check.Throws<KvException>(
            "KV GET_BULK failed: 400 You must request a minimum of 1 key", () => kv.GetManyAsync([]).AsTask());
    }

    private static void ReadNow(KvNamespace kv)
    {
        Check.Equal(true, kv.TryGet("text", out var byText));
        Check.Equal("grün", byText.GetText());
        Check.Equal(true, kv.TryGet("text"u8, out var byUtf8));
        Check.Bytes(byText.GetBytes().Span, byUtf8.GetBytes().Span);
        Check.Equal(false, kv.TryGet("missing", out var missing));
        Check.Equal(false, missing.Exists);
    }
}
