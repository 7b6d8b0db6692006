using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Definitions;
using Microsoft.Extensions.Configuration;
using Microsoft.FeatureManagement;

namespace KvStore.FeatureManagement.Tests;

/// <summary>Definitions of a namespace, compared with those that the package reads from a configuration.</summary>
public sealed class FeatureDefinitionReaderTests
{
    private static readonly Gen<string> s_booleans = Gen.Elements("true", "false", "\"True\"", "null");

    private static readonly Gen<string> s_filters = Gen.Elements(
        """{"name":"AlwaysOn"}""",
        """{"name":"Microsoft.Percentage","parameters":{"Value":12.5}}""",
        """{"name":"Targeting","parameters":{"Audience":{"Users":["ada","bob"],"Groups":[{"Name":"g","RolloutPercentage":1}]}}}""",
        """{"Name":"Own","parameters":{}}""");

    private static readonly Gen<string> s_variants = Gen.Elements(
        """{"name":"a","configuration_value":{"x":[1,{"y":null}]}}""",
        """{"name":"b","configuration_value":"text","status_override":"Disabled"}""",
        """{"name":"c","status_override":"enabled"}""");

    private static readonly Gen<string> s_allocations = Gen.Elements(
        "null",
        "{}",
        """{"default_when_enabled":"a","default_when_disabled":"b","seed":"s"}""",
        """{"user":[{"variant":"a","users":["ada","bob"]},{"variant":"b"}],"group":[{"variant":"b","groups":["g"]}]}""",
        """{"percentile":[{"variant":"a","from":0,"to":12.5},{"variant":"b","from":12.5,"to":12.5},{"to":"1e2"}]}""");

    private static readonly Gen<string> s_telemetry = Gen.Elements("null", "{}", """{"enabled":true}""", """{"enabled":false,"metadata":{"A":"1","b":2}}""");

    [Fact]
    public void Definition_is_the_one_that_the_package_reads_from_configuration() =>
        Prop.ForAll(Definitions().ToArbitrary(), static json => Describe(Ours(json)).Should().Be(Describe(Theirs(json)), json))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Theory]
    [InlineData("de-DE")]
    [InlineData("ar-SA")]
    [InlineData("sv-SE")]
    public void Numbers_do_not_depend_on_the_culture(string culture)
    {
        var before = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = CultureInfo.GetCultureInfo(culture);
        try
        {
            var definition = Ours("""{ "enabled": true, "allocation": { "percentile": [ { "variant": "a", "from": 0.5, "to": 12.5 } ] } }""");

            definition.Allocation.Percentile.Single().To.Should().Be(12.5);
            CultureInfo.CurrentCulture.Name.Should().Be(culture);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    /// <summary>A null is no setting, as everywhere in a configuration: without filters an enabled feature is on for everybody.</summary>
    [Theory]
    [InlineData("""{"id":"Feature","enabled":true,"conditions":{"client_filters":null}}""", true)]
    [InlineData("""{"id":"Feature","enabled":true,"conditions":null}""", true)]
    [InlineData("""{"id":"Feature","enabled":false,"conditions":{"client_filters":null}}""", false)]
    [InlineData("""{"id":"Feature","enabled":null,"conditions":{"client_filters":null}}""", false)]
    [InlineData("""{"id":"Feature","enabled":true,"variants":null,"allocation":null,"telemetry":null}""", true)]
    public void Null_is_no_setting_as_in_the_package(string json, bool isOn)
    {
        var definition = Ours(json);
        Describe(definition).Should().Be(Describe(Theirs(json)));
        definition.EnabledFor.Select(static filter => filter.Name).Should().Equal(isOn ? ["AlwaysOn"] : []);
    }

    private static Gen<string> Definitions() =>
        from isEnabled in s_booleans
        from requirement in Gen.Elements("null", "\"All\"", "\"any\"")
        from filters in Gen.Choose(0, 3).SelectMany(static count => s_filters.ArrayOf(count))
        from variants in Gen.Choose(0, 3).SelectMany(static count => s_variants.ArrayOf(count))
        from allocation in s_allocations
        from telemetry in s_telemetry
        select $$"""
            {"id":"Feature","enabled":{{isEnabled}},"conditions":{"requirement_type":{{requirement}},"client_filters":[{{string.Join(',', filters)}}]},
             "variants":[{{string.Join(',', variants)}}],"allocation":{{allocation}},"telemetry":{{telemetry}}}
            """;

    private static FeatureDefinition Ours(string json)
    {
        FeatureDefinitionReader.Read("key", Encoding.UTF8.GetBytes(json), default, out var definition).Should().BeNull(json);
        return definition!;
    }

    private static FeatureDefinition Theirs(string json)
    {
        var configuration = new ConfigurationBuilder()
            .AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes($$$"""{"feature_management":{"feature_flags":[{{{json}}}]}}""")))
            .Build();
        return new ConfigurationFeatureDefinitionProvider(configuration).GetFeatureDefinitionAsync("Feature").Result;
    }

    private static string Describe(FeatureDefinition definition)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{definition.Name} {definition.Status} {definition.RequirementType}");
        foreach (var filter in definition.EnabledFor)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"filter {filter.Name} {filter.Parameters.GetType().Name}: {Values(filter.Parameters)}");
        }

        foreach (var variant in definition.Variants)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"variant {variant.Name} {variant.StatusOverride}: {variant.ConfigurationValue.Value} {Values(variant.ConfigurationValue)}");
        }

        if (definition.Allocation is { } allocation)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"allocation {allocation.DefaultWhenEnabled} {allocation.DefaultWhenDisabled} {allocation.Seed}");
            text.AppendJoin(';', allocation.User.Select(static user => $"{user.Variant}={string.Join(',', user.Users ?? [])}"));
            text.AppendJoin(';', allocation.Group.Select(static group => $"{group.Variant}={string.Join(',', group.Groups ?? [])}"));
            text.AppendJoin(';', allocation.Percentile.Select(static part => string.Create(CultureInfo.InvariantCulture, $"{part.Variant}={part.From}-{part.To}")));
        }

        var metadata = definition.Telemetry.Metadata is { } given ? string.Join(',', given.OrderBy(static pair => pair.Key, StringComparer.Ordinal)) : "none";
        return text.AppendLine(CultureInfo.InvariantCulture, $"telemetry {definition.Telemetry.Enabled} {metadata}").ToString();
    }

    private static string Values(IConfiguration configuration) =>
        string.Join(',', configuration.GetChildren().Select(static child => $"{child.Key}={child.Value}[{Values(child)}]"));
}
