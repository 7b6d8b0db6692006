using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>What is not replayed is counted here, with the reason: nothing is left out in silence.</summary>
public sealed class LeftOutTests
{
    [Fact]
    public void All_scenarios_are_there()
    {
        Scenario.All.Should().HaveCount(403);
        Scenario.All.Sum(scenario => scenario.Operations.Count).Should().Be(10_301);
        Scenario.All.Select(scenario => scenario.Id).Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public void Scenarios_that_only_JavaScript_can_express_are_left_out_each_for_a_reason()
    {
        var reasons = Scenario.All.Where(scenario => scenario.IsJavaScriptOnly).GroupBy(WhyNot).ToDictionary(g => g.Key, g => g.Count());

        reasons.Should().BeEquivalentTo(new Dictionary<string, int>
        {
            ["an argument of a JavaScript type (undefined, NaN, a symbol, an object): in C# it doesn't compile"] = 43,
            ["a value of a JavaScript type (a date, a function, a locked or failing stream): in C# it doesn't compile, or StreamedPutTests has it"] = 21,
            ["a fraction where the binding takes an integer: DeadlineTests and KvNamespaceGetTests have it as a TimeSpan"] = 4,
            ["a fraction as limit: in C# it is an int"] = 2,
            ["an array of 16-bit numbers as value: in C# there are bytes only"] = 1,
            ["no value at all: in C# it doesn't compile"] = 1,
        });
    }

    [Fact]
    public void Single_operations_that_C_sharp_cannot_express_are_left_out_each_for_a_reason()
    {
        var leftOut = Scenario.Expressible
            .SelectMany(scenario => scenario.Operations.Select(operation => (scenario.Id, WhyNot: InexpressibleOperation.WhyNot(operation))))
            .Where(operation => operation.WhyNot is not null)
            .GroupBy(operation => operation.WhyNot!)
            .ToDictionary(g => g.Key, g => g.GroupBy(operation => operation.Id).ToDictionary(byId => byId.Key, byId => byId.Count()));

        leftOut.Should().BeEquivalentTo(new Dictionary<string, Dictionary<string, int>>
        {
            ["an unknown type: in C# the type of a read is the method that is called"] = new()
            {
                ["values-080"] = 6,
                ["values-081"] = 6,
                ["values-083"] = 6,
                ["values-085"] = 6,
                ["values-086"] = 6,
                ["cache-ttl-028"] = 2,
                ["multi-get-001"] = 1,
                ["multi-get-018"] = 6,
            },
            ["a limit beyond 32 bits: in C# it is an int"] = new() { ["list-030"] = 1 },
        });
    }

    [Fact]
    public void Every_quirk_is_copied_or_differed_from_by_name()
    {
        var quirks = Scenario.Expressible.Where(scenario => scenario.Authority == "quirk").Select(scenario => scenario.Id).ToList();
        var differing = DeliberateDifference.All.Select(difference => difference.Id).ToList();

        // What looks like an accident in JavaScript and is no choice in C#: JSON is compared by what it says, so that the
        // order of properties doesn't matter; a byte order mark is kept by one read and dropped by another; numbers keep
        // all their digits; JSON may escape an unpaired surrogate.
        quirks.Except(differing).Should().BeEquivalentTo("values-021", "values-025", "values-050", "metadata-025", "metadata-026");

        // Beyond the quirks: many keys can be read as bytes, which the binding refuses; an entry lives at least its time to live;
        // and expirations need not fit 32 bits.
        differing.Except(quirks).Should().BeEquivalentTo(
            "multi-get-015", "multi-get-016", "time-003", "expiration-015", "expiration-016", "expiration-056");
    }

    private static string WhyNot(Scenario scenario)
    {
        var operations = scenario.Operations;
        if (operations.Any(operation => HasJavaScriptArgument(operation)))
        {
            return "an argument of a JavaScript type (undefined, NaN, a symbol, an object): in C# it doesn't compile";
        }

        if (operations.Any(operation => ValueForm(operation) == "js"))
        {
            return "a value of a JavaScript type (a date, a function, a locked or failing stream): in C# it doesn't compile, or StreamedPutTests has it";
        }

        if (operations.Any(operation => IsFraction(operation, "cacheTtl")
            || (operation.TryGetProperty("options", out var options) && IsFraction(options, "expirationTtl"))))
        {
            return "a fraction where the binding takes an integer: DeadlineTests and KvNamespaceGetTests have it as a TimeSpan";
        }

        if (operations.Any(operation => IsFraction(operation, "limit")))
        {
            return "a fraction as limit: in C# it is an int";
        }

        if (operations.Any(operation => ValueForm(operation) == "uint16Array"))
        {
            return "an array of 16-bit numbers as value: in C# there are bytes only";
        }

        return operations.Any(operation => operation.TryGetProperty("noValue", out _))
            ? "no value at all: in C# it doesn't compile"
            : "no reason";
    }

    private static bool HasJavaScriptArgument(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => json.EnumerateObject().Any(p =>
            p.Name == "$js" || (p.Name != "expect" && HasJavaScriptArgument(p.Value))),
        JsonValueKind.Array => json.EnumerateArray().Any(HasJavaScriptArgument),
        _ => false,
    };

    private static string? ValueForm(JsonElement operation) =>
        operation.TryGetProperty("value", out var value) && value.ValueKind == JsonValueKind.Object && value.TryGetProperty("as", out var form)
            ? form.GetString()
            : null;

    private static bool IsFraction(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var number) && number.ValueKind == JsonValueKind.Number && !number.TryGetInt64(out _);
}
