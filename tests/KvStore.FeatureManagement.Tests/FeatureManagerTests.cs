using Microsoft.Extensions.DependencyInjection;
using Microsoft.FeatureManagement;

namespace KvStore.FeatureManagement.Tests;

/// <summary>The feature manager of the package with definitions of a namespace: filters, variants, snapshots.</summary>
public sealed class FeatureManagerTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-flags-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("""{ "id": "Beta", "enabled": true }""", true)]
    [InlineData("""{ "id": "Beta", "enabled": false }""", false)]
    [InlineData("""{ "id": "Beta" }""", false)]
    [InlineData("""{ "enabled": "true", "conditions": { "client_filters": [] } }""", true)]
    [InlineData("""{ "enabled": true, "conditions": { "client_filters": [ { "name": "Microsoft.Percentage", "parameters": { "Value": 100 } } ] } }""", true)]
    [InlineData("""{ "enabled": true, "conditions": { "client_filters": [ { "name": "Microsoft.Percentage", "parameters": { "Value": 0 } } ] } }""", false)]
    [InlineData("""{ "enabled": true, "conditions": { "requirement_type": "All", "client_filters": [ { "name": "AlwaysOn" }, { "name": "Percentage", "parameters": { "Value": 0 } } ] } }""", false)]
    [InlineData("""{ "enabled": true, "conditions": { "requirement_type": "Any", "client_filters": [ { "name": "AlwaysOn" }, { "name": "Percentage", "parameters": { "Value": 0 } } ] } }""", true)]
    [InlineData("true", true)]
    [InlineData("false", false)]
    [InlineData("", false)]
    [InlineData("""{ /* comment */ "enabled": true, }""", true)]
    public async Task Definition_switches_a_feature_on_or_off(string definition, bool isEnabled)
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Beta", definition).AsTask());

        (await application.Manager.IsEnabledAsync("Beta")).Should().Be(isEnabled);
        (await application.Manager.IsEnabledAsync("beta")).Should().Be(isEnabled, "names are not case-sensitive");
        (await application.Manager.IsEnabledAsync("Gamma")).Should().BeFalse();
        application.Log.Warnings.Should().BeEmpty();
    }

    [Theory]
    [InlineData("", """{ "enabled": true }""", true)]
    [InlineData("", """{ "enabled": false, "createdBy": "ada" }""", false)]
    [InlineData("", """{ "createdBy": "ada" }""", false)]
    [InlineData("", """[ "no object" ]""", false)]
    [InlineData("""{ "enabled": false }""", """{ "Enabled": true }""", true)]
    [InlineData("""{ "enabled": true }""", """{ "enabled": false }""", false)]
    [InlineData("""{ "enabled": true }""", """{ "other": false }""", true)]
    [InlineData("""{ "conditions": { "client_filters": [ { "name": "Percentage", "parameters": { "Value": 0 } } ] } }""", """{ "enabled": true }""", false)]
    public async Task Metadata_switches_a_feature_on_or_off(string definition, string metadata, bool isEnabled)
    {
        await using var application = await FlagsApplication.StartAsync(
            prefix: "flag:", seed: kv => kv.PutAsync("flag:acme:dark-mode", definition, new() { Metadata = KvMetadata.FromJson(metadata) }).AsTask());

        (await application.Manager.IsEnabledAsync("acme:dark-mode")).Should().Be(isEnabled);
        application.Log.Warnings.Should().BeEmpty();
    }

    [Fact]
    public async Task Time_window_opens_and_closes_with_the_clock()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Sale", """
            { "enabled": true, "conditions": { "client_filters": [ { "name": "Microsoft.TimeWindow",
              "parameters": { "Start": "2026-11-27T13:00:00Z", "End": "2026-11-27T14:00:00Z" } } ] } }
            """).AsTask());
        (await application.Manager.IsEnabledAsync("Sale")).Should().BeFalse();

        application.Time.Advance(TimeSpan.FromMinutes(90));
        (await application.Manager.IsEnabledAsync("Sale")).Should().BeTrue();

        application.Time.Advance(TimeSpan.FromMinutes(90));
        (await application.Manager.IsEnabledAsync("Sale")).Should().BeFalse();
    }

    [Fact]
    public async Task Targeting_reaches_users_and_groups()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Beta", """
            { "enabled": true, "conditions": { "client_filters": [ { "name": "Microsoft.Targeting", "parameters": { "Audience": {
              "Users": [ "ada" ], "Groups": [ { "Name": "staff", "RolloutPercentage": 100 } ], "DefaultRolloutPercentage": 0,
              "Exclusion": { "Users": [ "eve" ] } } } } ] } }
            """).AsTask());

        (await application.IsEnabledForAsync("Beta", "ada")).Should().BeTrue();
        (await application.IsEnabledForAsync("Beta", "bob")).Should().BeFalse();
        (await application.IsEnabledForAsync("Beta", "bob", "staff")).Should().BeTrue();
        (await application.IsEnabledForAsync("Beta", "eve", "staff")).Should().BeFalse();
    }

    [Fact]
    public async Task Changed_parameters_of_a_filter_count_at_once()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Beta", Percentage(0)).AsTask());
        (await application.Manager.IsEnabledAsync("Beta")).Should().BeFalse();

        await application.Flags.PutAsync("Beta", Percentage(100));

        await application.WhenAsync("Beta", true);

        static string Percentage(int value) => $$"""
            { "enabled": true, "conditions": { "client_filters": [ { "name": "Percentage", "parameters": { "Value": {{value}} } } ] } }
            """;
    }

    [Fact]
    public async Task Variants_are_allocated_to_users_groups_and_percentiles()
    {
        await using var application = await FlagsApplication.StartAsync(_directory, seed: kv => kv.PutAsync("Button", Variants).AsTask());

        (await application.VariantForAsync("Button", "ada")).Should().Be("Large");
        (await application.VariantForAsync("Button", "bob", "staff")).Should().Be("Small");
        (await application.VariantForAsync("Button", "anybody")).Should().Be("Medium");
        var large = await application.Manager.GetVariantAsync("Button", new Microsoft.FeatureManagement.FeatureFilters.TargetingContext { UserId = "ada" });
        large.Configuration["Pixels"].Should().Be("64");
        (await application.IsEnabledForAsync("Button", "bob", "staff")).Should().BeFalse("the status of the variant overrides the feature's");
        (await application.IsEnabledForAsync("Button", "ada")).Should().BeTrue();
    }

    [Fact]
    public async Task Definitions_are_there_after_a_restart()
    {
        await using (var first = await FlagsApplication.StartAsync(_directory))
        {
            await first.Flags.PutAsync("Button", Variants);
            await first.Flags.PutAsync("Beta", "", new() { Metadata = KvMetadata.FromJson("""{"enabled":true}""") });
            await first.WhenAsync("Beta", true);
        }

        await using var second = await FlagsApplication.StartAsync(_directory);

        (await second.Manager.IsEnabledAsync("Beta")).Should().BeTrue();
        (await second.VariantForAsync("Button", "ada")).Should().Be("Large");
        await second.Flags.PutAsync("Beta", "false");
        await second.WhenAsync("Beta", false);
    }

    [Fact]
    public async Task Disabled_feature_has_the_variant_for_that()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync(
            "Button", Variants.Replace("\"enabled\": true", "\"enabled\": false", StringComparison.Ordinal)).AsTask());

        (await application.VariantForAsync("Button", "ada")).Should().Be("Small");
        (await application.IsEnabledForAsync("Button", "ada")).Should().BeFalse();
    }

    [Fact]
    public async Task Snapshot_of_a_scope_does_not_change_with_the_definition()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Beta", "true").AsTask());
        await using var scope = application.Services.CreateAsyncScope();
        var snapshot = scope.ServiceProvider.GetRequiredService<IVariantFeatureManagerSnapshot>();
        (await snapshot.IsEnabledAsync("Beta")).Should().BeTrue();

        await application.Flags.PutAsync("Beta", "false");
        await application.WhenAsync("Beta", false);

        (await snapshot.IsEnabledAsync("Beta")).Should().BeTrue();
        await using var next = application.Services.CreateAsyncScope();
        (await next.ServiceProvider.GetRequiredService<IVariantFeatureManagerSnapshot>().IsEnabledAsync("Beta")).Should().BeFalse();
    }

    [Fact]
    public async Task Names_of_all_features_are_listed_in_the_order_of_their_keys()
    {
        await using var application = await FlagsApplication.StartAsync(prefix: "flags/", seed: async kv =>
        {
            await kv.PutAsync("flags/b", "true");
            await kv.PutAsync("flags/a", """{ "id": "Zeta", "enabled": false }""");
            await kv.PutAsync("other/c", "true");
        });

        (await application.Manager.GetFeatureNamesAsync().ToListAsync()).Should().Equal("Zeta", "b");
        (await application.Manager.IsEnabledAsync("a")).Should().BeFalse("the id is its name");
    }

    [Fact]
    public async Task Scoped_feature_management_reads_the_namespace_too()
    {
        await using var provider = new ServiceCollection()
            .AddKvNamespace("FLAGS_KV")
            .AddScopedFeatureManagement().AddKvFeatureDefinitions("FLAGS_KV").Services
            .BuildServiceProvider();
        await provider.GetRequiredKeyedService<KvNamespace>("FLAGS_KV").PutAsync("Beta", "true");
        await using var scope = provider.CreateAsyncScope();

        (await scope.ServiceProvider.GetRequiredService<IFeatureManager>().IsEnabledAsync("Beta")).Should().BeTrue("the first lookup reads the definitions where there is no host");
    }

    private const string Variants = """
        {
          "id": "Button", "enabled": true,
          "variants": [
            { "name": "Small", "configuration_value": { "Pixels": 16 }, "status_override": "Disabled" },
            { "name": "Medium", "configuration_value": { "Pixels": 32 } },
            { "name": "Large", "configuration_value": { "Pixels": 64 } }
          ],
          "allocation": {
            "default_when_enabled": "Medium", "default_when_disabled": "Small",
            "user": [ { "variant": "Large", "users": [ "ada" ] } ],
            "group": [ { "variant": "Small", "groups": [ "staff" ] } ],
            "percentile": [ { "variant": "Large", "from": 0, "to": 0 }, { "variant": "Medium", "from": 0, "to": 100 } ],
            "seed": "s"
          },
          "telemetry": { "enabled": true, "metadata": { "Team": "shop" } }
        }
        """;
}
