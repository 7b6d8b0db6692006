using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>
/// One recorded conversation between a Worker and the real KV binding: operations in order, each with what it answered.
/// Every scenario starts with an empty namespace.
/// </summary>
/// <param name="Id">Its name, for example <c>keys-001</c>.</param>
/// <param name="Title">What it shows.</param>
/// <param name="Authority">Who decided the answers: <c>both</c>, <c>workerd</c>, <c>miniflare</c>, or <c>quirk</c>.</param>
/// <param name="IsJavaScriptOnly">Whether it uses what only JavaScript can express.</param>
/// <param name="Start">Where its clock starts.</param>
/// <param name="Operations">The operations with their arguments and <c>expect</c>.</param>
public sealed record Scenario(
    string Id,
    string Title,
    string Authority,
    bool IsJavaScriptOnly,
    DateTimeOffset Start,
    IReadOnlyList<JsonElement> Operations)
{
    /// <summary>All recorded scenarios, in the order of the file.</summary>
    public static IReadOnlyList<Scenario> All { get; } = Load();

    /// <summary>Those that C# can express.</summary>
    public static IEnumerable<Scenario> Expressible => All.Where(scenario => !scenario.IsJavaScriptOnly);

    /// <summary>The scenario of that name.</summary>
    public static Scenario Named(string id) => All.Single(scenario => scenario.Id == id);

    private static Scenario[] Load()
    {
        using var file = typeof(Scenario).Assembly.GetManifestResourceStream("binding.json")!;
        using var document = JsonDocument.Parse(file);
        return [.. document.RootElement.GetProperty("scenarios").EnumerateArray().Select(Read)];
    }

    private static Scenario Read(JsonElement json) => new(
        json.GetProperty("id").GetString()!,
        json.GetProperty("title").GetString()!,
        json.GetProperty("authority").GetString()!,
        json.TryGetProperty("js_only", out var only) && only.GetBoolean(),
        ReadStart(json.GetProperty("clock")),
        [.. json.GetProperty("ops").EnumerateArray().Select(op => op.Clone())]);

    // Where the recording says that the time doesn't matter, any time will do.
    private static DateTimeOffset ReadStart(JsonElement clock) => clock.ValueKind == JsonValueKind.Null
        ? DateTimeOffset.FromUnixTimeSeconds(1_700_000_000)
        : DateTimeOffset.FromUnixTimeMilliseconds(
            (clock.GetProperty("t0").GetInt64() * 1000) + clock.GetProperty("ms").GetInt64());
}
