using System.Text.Json;
using KvStore.Tests.Vectors;

namespace KvStore.AspNetCore.Tests.Runtime;

/// <summary>
/// The recorded conversations once more, by a Worker in the real runtime through its real KV binding, whose requests
/// <c>MapKvBinding</c> answers.
/// </summary>
[Trait("Needs", "workerd")]
public sealed class RuntimeVectorTests(WorkerdFixture workerd) : IClassFixture<WorkerdFixture>
{
    private static readonly HashSet<string> s_decidedByTheRuntime =
    [
        "keys-070", "keys-071", "keys-073", "multi-get-028", "multi-get-015", "multi-get-016", "values-060", "values-061",
        "expiration-015", "expiration-016", "expiration-056",
    ];

    // The runtime reports the stream's error to the Worker, and a little later still sends the bytes that it had as a complete body.
    // An HTTP server cannot see that the body is incomplete, and the put must not reach the next scenario.
    private static readonly HashSet<string> s_brokenStreams = ["put-types-030", "put-types-031"];

    // NaN and an invalid date become JSON null, which is no metadata in KvStore; the emulator stores it and lists it.
    private static readonly Dictionary<string, Dictionary<int, JsonElement>> s_nullMetadata = new()
    {
        ["metadata-028"] = ListedWithoutMetadata(),
        ["metadata-043"] = ListedWithoutMetadata(),
    };

    public static TheoryData<ScenarioCase> All => [.. Scenario.All.Select(scenario => new ScenarioCase(scenario.Id))];

    [RealPartTheory(RealPart.Workerd)]
    [MemberData(nameof(All))]
    public async Task The_real_binding_answers_as_recorded(ScenarioCase scenarioCase)
    {
        var scenario = scenarioCase.Scenario;
        var time = new FakeTimeProvider(scenario.Start);
        await workerd.BeginAsync(time);
        var differences = DifferencesOf(scenario.Id);
        var mismatches = new Dictionary<int, string>();
        for (var i = 0; i < scenario.Operations.Count; i++)
        {
            var operation = scenario.Operations[i];
            if (operation.GetProperty("op").GetString() == "advance")
            {
                time.Advance(TimeSpan.FromMilliseconds(operation.GetProperty("ms").GetInt64()));
                continue;
            }

            var now = time.GetUtcNow().ToUnixTimeSeconds();
            var expected = differences?.GetValueOrDefault(i) is { ValueKind: not JsonValueKind.Undefined } other ? other : operation.GetProperty("expect");
            var mismatch = await workerd.RunAsync(operation, expected, scenario.Start.ToUnixTimeSeconds(), now, isFirst: i == 0);
            if (mismatch is not null)
            {
                mismatches[i] = mismatch;
            }
        }

        if (s_brokenStreams.Contains(scenario.Id))
        {
            await workerd.UntilChangedAsync("k", "before");
        }

        await workerd.EndAsync();
        mismatches.Should().BeEmpty();
    }

    // The runtime takes the reason from the endpoint and says itself what was called; to it a list is a GET.
    private static JsonElement SaidByTheRuntime(JsonElement answer) =>
        JsonSerializer.Deserialize<JsonElement>(answer.GetRawText().Replace("KV LIST failed", "KV GET failed", StringComparison.Ordinal));

    private static Dictionary<int, JsonElement> ListedWithoutMetadata() => new()
    {
        [2] = JsonSerializer.Deserialize<JsonElement>("""{"page":{"keys":[{"name":"k"}],"list_complete":true,"cursor":false}}"""),
    };

    // Where KvStore differs on purpose, and the runtime lets it be seen. What the runtime decides by itself (keys that it loses,
    // types that it refuses, surrogates that it encodes) comes out as recorded here.
    private static IReadOnlyDictionary<int, JsonElement>? DifferencesOf(string id)
    {
        if (s_nullMetadata.TryGetValue(id, out var answers))
        {
            return answers;
        }

        return s_decidedByTheRuntime.Contains(id)
            ? null
            : DeliberateDifference.All.SingleOrDefault(difference => difference.Id == id)?.Answers.ToDictionary(answer => answer.Key, answer => SaidByTheRuntime(answer.Value));
    }
}
