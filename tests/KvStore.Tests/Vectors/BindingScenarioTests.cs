namespace KvStore.Tests.Vectors;

/// <summary>Recorded conversations with the real binding, replayed: one test case per scenario.</summary>
public sealed class BindingScenarioTests
{
    private static readonly HashSet<string> s_differing = [.. DeliberateDifference.All.Select(difference => difference.Id)];

    public static TheoryData<ScenarioCase> Copied =>
        [.. Scenario.Expressible.Where(scenario => !s_differing.Contains(scenario.Id)).Select(scenario => new ScenarioCase(scenario.Id))];

    public static TheoryData<ScenarioCase> Differing => [.. DeliberateDifference.All.Select(difference => new ScenarioCase(difference.Id))];

    [Theory]
    [MemberData(nameof(Copied))]
    public async Task Answers_as_the_binding_did(ScenarioCase scenario) => await ReplayAsync(scenario.Scenario, answers: null);

    [Theory]
    [MemberData(nameof(Differing))]
    public async Task Answers_otherwise_on_purpose(ScenarioCase scenario)
    {
        var difference = DeliberateDifference.All.Single(difference => difference.Id == scenario.Scenario.Id);
        await ReplayAsync(scenario.Scenario, difference.Answers);

        // An answer that became the recorded one belongs out of the table.
        foreach (var operation in difference.Answers.Keys)
        {
            var asRecorded = difference.Answers.Where(answer => answer.Key != operation).ToDictionary();
            var replay = () => ReplayAsync(scenario.Scenario, asRecorded);
            await replay.Should().ThrowAsync<Xunit.Sdk.XunitException>(
                $"operation {operation} differs because {difference.Reason}; instead {difference.Instead}");
        }
    }

    [Fact]
    public void Every_difference_is_documented_and_nothing_else()
    {
        var document = File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "differences.md"));

        System.Text.RegularExpressions.Regex.Matches(document, "`([a-z-]+-[0-9]{3})`").Select(match => match.Groups[1].Value)
            .Should().BeEquivalentTo(s_differing);
    }

    [Fact]
    public async Task The_reference_store_answers_as_KvStore_does()
    {
        foreach (var scenario in Scenario.Expressible)
        {
            var time = new FakeTimeProvider(scenario.Start);
            var answers = DeliberateDifference.All.SingleOrDefault(difference => difference.Id == scenario.Id)?.Answers;
            await new ScenarioRunner(new ReferenceStore("KV", time), time, scenario).ReplayAsync(answers);
        }
    }

    private static async Task ReplayAsync(Scenario scenario, IReadOnlyDictionary<int, System.Text.Json.JsonElement>? answers)
    {
        var time = new FakeTimeProvider(scenario.Start);
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });
        await new ScenarioRunner(kv, time, scenario).ReplayAsync(answers);
    }
}
