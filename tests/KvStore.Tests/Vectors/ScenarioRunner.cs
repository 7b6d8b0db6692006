using System.Text;
using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>Replays a scenario on an empty namespace and compares every answer with the recorded one.</summary>
internal sealed class ScenarioRunner(IKvNamespace kv, FakeTimeProvider time, Scenario scenario)
{
    private readonly Dictionary<string, string?> _cursors = [];

    private long NowSeconds => time.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>Replays all operations that C# can express.</summary>
    /// <param name="overrides">By operation: what to expect in place of what was recorded.</param>
    public async Task ReplayAsync(IReadOnlyDictionary<int, JsonElement>? overrides = null)
    {
        for (var i = 0; i < scenario.Operations.Count; i++)
        {
            var operation = scenario.Operations[i];
            if (InexpressibleOperation.WhyNot(operation) is not null)
            {
                continue;
            }

            var expected = overrides is not null && overrides.TryGetValue(i, out var other) ? other : operation.GetProperty("expect");
            var times = new RecordedTimes(scenario.Start.ToUnixTimeSeconds(), NowSeconds);
            Observed actual;
            try
            {
                actual = await RunAsync(operation, times);
            }
            catch (Exception e) when (e is ArgumentException or KvException or JsonException)
            {
                actual = new Observed.Error(e);
            }

            var mismatch = Expectation.Mismatch(expected, actual, times);
            mismatch.Should().BeNull($"operation {i} of {scenario.Id} is {Shorten(operation)}");
        }
    }

    private static string Shorten(JsonElement operation)
    {
        var text = operation.GetRawText();
        return text.Length <= 600 ? text : text[..600] + "…";
    }

    private async ValueTask<Observed> RunAsync(JsonElement operation, RecordedTimes times)
    {
        switch (operation.GetProperty("op").GetString())
        {
            case "advance":
                time.Advance(TimeSpan.FromMilliseconds(operation.GetProperty("ms").GetInt64()));
                return new Observed.Nothing();
            case "put":
                await kv.PutAsync(
                    Key(operation), PutArguments.Content(operation.GetProperty("value")), PutArguments.Options(operation, times));
                return new Observed.Nothing();
            case "fill":
                await FillAsync(operation);
                return new Observed.Nothing();
            case "delete":
                await kv.DeleteAsync(Key(operation));
                return new Observed.Nothing();
            case "get":
                return await GetAsync(operation);
            case "getWithMetadata":
                return await GetWithMetadataAsync(operation);
            case "getMany":
                return await GetManyAsync(operation);
            case "getManyWithMetadata":
                return await GetManyWithMetadataAsync(operation);
            case "list":
                return await ListAsync(operation);
            case "listAll":
                return await ListAllAsync(operation);
            case var op:
                throw new InvalidDataException($"{op} is not an operation that the recordings know.");
        }
    }

    private async Task FillAsync(JsonElement operation)
    {
        var valuePrefix = Literal.TextOrNull(operation, "valuePrefix");
        foreach (var key in Literal.Keys(operation.GetProperty("keys")))
        {
            await kv.PutAsync(key, valuePrefix is null ? "v" : valuePrefix + key);
        }
    }

    private async ValueTask<Observed> GetAsync(JsonElement operation)
    {
        var key = Key(operation);
        var options = GetOptions(operation);
        Observed? answer = Type(operation) switch
        {
            "json" => await kv.GetJsonAsync<JsonElement?>(key, options) is { } json ? new Observed.Json(json) : null,
            "arrayBuffer" => await kv.GetBytesAsync(key, options) is { } bytes ? new Observed.Bytes(bytes.ToArray()) : null,
            "stream" => await kv.GetStreamAsync(key, options) is { } stream ? new Observed.Stream(await ReadAsync(stream)) : null,
            _ => await kv.GetTextAsync(key, options) is { } text ? new Observed.Text(text) : null,
        };

        // The synchronous reads must agree with the others.
        if (kv is KvNamespace local)
        {
            var exists = answer is not null || (await kv.GetAsync(key)).Exists;
            local.TryGet(key, out var byText).Should().Be(exists);
            local.TryGet(Encoding.UTF8.GetBytes(key), out var byUtf8).Should().Be(exists);
            byUtf8.GetBytes().Span.SequenceEqual(byText.GetBytes().Span).Should().BeTrue();
        }

        return answer ?? new Observed.Null();
    }

    private async ValueTask<Observed> GetWithMetadataAsync(JsonElement operation)
    {
        var value = await kv.GetAsync(Key(operation), GetOptions(operation));
        return new Observed.Entry(await ReadAsync(value, Type(operation)), value.Metadata, value.CacheStatus);
    }

    private async ValueTask<Observed> GetManyAsync(JsonElement operation)
    {
        var keys = Literal.Keys(operation.GetProperty("keys"));
        var options = GetOptions(operation);
        var type = Type(operation);
        var pairs = new List<(string, Observed)>();
        switch (type)
        {
            case "json":
                foreach (var (key, json) in await kv.GetJsonAsync<JsonElement?>(keys, options))
                {
                    pairs.Add((key, json is { } value ? new Observed.Json(value) : new Observed.Null()));
                }

                break;
            case "arrayBuffer" or "stream":
                foreach (var (key, value) in await kv.GetManyAsync(keys, options))
                {
                    pairs.Add((key, await ReadAsync(value, type)));
                }

                break;
            default:
                foreach (var (key, text) in await kv.GetTextAsync(keys, options))
                {
                    pairs.Add((key, text is null ? new Observed.Null() : new Observed.Text(text)));
                }

                break;
        }

        return new Observed.Map(pairs);
    }

    // In C# the type belongs to the values and the metadata comes with the entries, so that it takes both calls.
    private async ValueTask<Observed> GetManyWithMetadataAsync(JsonElement operation)
    {
        var values = (Observed.Map)await GetManyAsync(operation);
        var entries = await kv.GetManyAsync(Literal.Keys(operation.GetProperty("keys")), GetOptions(operation));
        entries.Keys.Should().Equal(values.Pairs.Select(pair => pair.Key));
        return new Observed.Map(
        [
            .. values.Pairs.Select(pair => (pair.Key, entries[pair.Key] is { Exists: true } entry
                ? new Observed.Entry(pair.Value, entry.Metadata, entry.CacheStatus)
                : pair.Value)),
        ]);
    }

    private async ValueTask<Observed> ListAsync(JsonElement operation)
    {
        var page = await kv.ListAsync(operation.TryGetProperty("noArgs", out _) ? null : ListOptions(operation, Cursor(operation)));
        if (operation.TryGetProperty("save", out var name))
        {
            _cursors[name.GetString()!] = page.Cursor;
        }

        return new Observed.Pages([page]);
    }

    private async ValueTask<Observed> ListAllAsync(JsonElement operation)
    {
        var pages = new List<KvListPage>();
        do
        {
            pages.Add(await kv.ListAsync(ListOptions(operation, pages.Count == 0 ? null : pages[^1].Cursor)));
        }
        while (!pages[^1].ListComplete);

        var names = new List<string>();
        await foreach (var key in kv.ListAllAsync(Literal.TextOrNull(operation, "prefix")))
        {
            names.Add(key.Name);
        }

        names.Should().Equal(pages.SelectMany(page => page.Keys).Select(key => key.Name), "ListAllAsync pages by itself");
        return new Observed.Pages(pages);
    }

    private string? Cursor(JsonElement operation)
    {
        if (!operation.TryGetProperty("cursor", out var cursor) || cursor.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        return cursor.ValueKind == JsonValueKind.Object && cursor.TryGetProperty("$var", out var name)
            ? _cursors[name.GetString()!]
            : Literal.Text(cursor);
    }

    private static string Key(JsonElement operation) => Literal.Text(operation.GetProperty("key"));

    private static string Type(JsonElement operation) =>
        operation.TryGetProperty("type", out var type) ? type.GetString()! : "text";

    private static KvGetOptions? GetOptions(JsonElement operation) => operation.TryGetProperty("cacheTtl", out var seconds)
        ? new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(seconds.GetInt64()) }
        : null;

    private static KvListOptions ListOptions(JsonElement operation, string? cursor) => new()
    {
        Prefix = Literal.TextOrNull(operation, "prefix"),
        Limit = operation.TryGetProperty("limit", out var limit) ? limit.GetInt32() : null,
        Cursor = cursor,
    };

    private static async ValueTask<Observed> ReadAsync(KvValue value, string type)
    {
        if (!value.Exists)
        {
            return new Observed.Null();
        }

        return type switch
        {
            "json" => value.GetJson<JsonElement?>() is { } json ? new Observed.Json(json) : new Observed.Null(),
            "arrayBuffer" => new Observed.Bytes(value.GetBytes().ToArray()),
            "stream" => new Observed.Stream(await ReadAsync(value.OpenStream())),
            _ => new Observed.Text(value.GetText()!),
        };
    }

    private static async Task<byte[]> ReadAsync(Stream stream)
    {
        await using (stream)
        {
            using var copy = new MemoryStream();
            await stream.CopyToAsync(copy);
            return copy.ToArray();
        }
    }
}
