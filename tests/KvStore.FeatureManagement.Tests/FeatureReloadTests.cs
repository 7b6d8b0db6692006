using KvStore.Definitions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Microsoft.FeatureManagement;

namespace KvStore.FeatureManagement.Tests;

/// <summary>How changes of the namespace reach the definitions, and what is refused.</summary>
public sealed class FeatureReloadTests
{
    [Fact]
    public async Task Change_delete_and_expiration_are_seen()
    {
        await using var application = await FlagsApplication.StartAsync();
        await application.Flags.PutAsync("Beta", "true");
        await application.WhenAsync("Beta", true);

        await application.Flags.DeleteAsync("Beta");
        await application.WhenAsync("Beta", false);
        (await application.Manager.GetFeatureNamesAsync().ToListAsync()).Should().BeEmpty();

        await application.Flags.PutAsync("Beta", "true", new() { ExpirationTtl = TimeSpan.FromMinutes(1) });
        await application.WhenAsync("Beta", true);
        application.Time.Advance(TimeSpan.FromMinutes(2));
        await application.WhenAsync("Beta", false);
    }

    [Theory]
    [InlineData("""{ "enabled": true""", "line 1")]
    [InlineData("secret", "line 1")]
    [InlineData("[ true ]", "not a JSON object")]
    [InlineData("""{ "enabled": "secret" }""", "enabled is true or false")]
    [InlineData("""{ "enabled": true, "Enabled": false }""", "one name")]
    [InlineData("""{ "enabled": true, "conditions": { "client_filters": "secret" } }""", "client_filters is not a JSON array")]
    [InlineData("""{ "enabled": true, "conditions": { "client_filters": [ { "Name": "" } ] } }""", "client_filters")]
    [InlineData("""{ "enabled": true, "conditions": [ ] }""", "conditions is not a JSON object")]
    [InlineData("""{ "enabled": true, "conditions": { "requirement_type": "secret" } }""", "requirement_type is Any or All")]
    [InlineData("""{ "enabled": true, "allocation": { "percentile": [ { "variant": "v", "from": "secret", "to": 1 } ] } }""", "from and to are numbers")]
    [InlineData("""{ "enabled": true, "allocation": { "percentile": [ { "variant": "v", "from": 50, "to": 200 } ] } }""", "from 0 to 100")]
    [InlineData("""{ "enabled": true, "allocation": { "percentile": [ { "variant": "v", "from": -1, "to": 100 } ] } }""", "from 0 to 100")]
    [InlineData("""{ "enabled": true, "allocation": { "percentile": [ { "variant": "v", "from": 60, "to": 40 } ] } }""", "from is above to")]
    [InlineData("""{ "enabled": true, "allocation": { "percentile": [ { "variant": "v", "from": 12.5 } ] } }""", "from is above to")]
    [InlineData("""{ "enabled": true, "allocation": { "percentile": [ { "variant": "v", "from": "NaN", "to": 40 } ] } }""", "from 0 to 100")]
    [InlineData("""{ "enabled": true, "allocation": { "user": { } } }""", "user is not a JSON array")]
    [InlineData("""{ "enabled": true, "variants": [ { "name": "v", "status_override": "secret" } ] }""", "status_override")]
    [InlineData("""{ "enabled": true, "telemetry": { "enabled": "secret" } }""", "enabled is true or false")]
    [InlineData("""{ "EnabledFor": [ ] }""", "older schema")]
    [InlineData("""{ "id": "\ud800" }""", "not Unicode")]
    public async Task Broken_definition_keeps_its_last_good_form_and_is_logged(string broken, string reason)
    {
        await using var application = await FlagsApplication.StartAsync(prefix: "flags/", seed: kv => kv.PutAsync("flags/Beta", "true").AsTask());

        await application.Flags.PutAsync("flags/Beta", broken);
        await application.Flags.PutAsync("flags/Next", "true");
        await application.WhenAsync("Next", true);

        (await application.Manager.IsEnabledAsync("Beta")).Should().BeTrue();
        application.Log.Warnings.Should().ContainSingle().Which.Should().Contain("flags/Beta").And.Contain("FLAGS_KV").And.Contain(reason).And.NotContain("secret");
        await application.Flags.PutAsync("flags/Beta", "false");
        await application.WhenAsync("Beta", false);
    }

    [Fact]
    public async Task Metadata_that_is_broken_keeps_the_last_good_form()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Beta", "true").AsTask());

        await application.Flags.PutAsync("Beta", "", new() { Metadata = KvMetadata.FromJson("""{ "enabled": "secret" }""") });
        await application.Flags.PutAsync("Next", "true");
        await application.WhenAsync("Next", true);

        (await application.Manager.IsEnabledAsync("Beta")).Should().BeTrue();
        application.Log.Warnings.Should().ContainSingle().Which.Should().Contain("metadata").And.NotContain("secret");
    }

    [Fact]
    public async Task Definition_that_was_never_good_is_absent()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Beta", "{").AsTask());

        (await application.Manager.GetFeatureNamesAsync().ToListAsync()).Should().BeEmpty();
        application.Log.Warnings.Should().ContainSingle();
    }

    [Fact]
    public async Task Keys_that_define_one_feature_are_logged_and_the_later_one_counts()
    {
        await using var application = await FlagsApplication.StartAsync(seed: async kv =>
        {
            await kv.PutAsync("b", """{ "id": "Beta", "enabled": true }""");
            await kv.PutAsync("BETA", "false");
        });
        (await application.Manager.IsEnabledAsync("Beta")).Should().BeTrue();
        application.Log.Warnings.Should().ContainSingle().Which.Should().Contain("BETA and b");

        await application.Flags.DeleteAsync("b");

        await application.WhenAsync("Beta", false);
    }

    [Fact]
    public async Task Lookups_allocate_nothing_while_nothing_changes()
    {
        await using var application = await FlagsApplication.StartAsync(seed: kv => kv.PutAsync("Beta", "true").AsTask());
        Look(1_000);

        var before = GC.GetAllocatedBytesForCurrentThread();
        Look(10_000);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        allocated.Should().Be(0);

        void Look(int count)
        {
            for (var i = 0; i < count; i++)
            {
                _ = application.Definitions.GetFeatureDefinitionAsync("Beta");
                _ = application.Definitions.GetFeatureDefinitionAsync("Missing");
            }
        }
    }

    [Fact]
    public async Task Lookups_are_counted()
    {
        using var counted = new AdapterRequests("COUNTED_FLAGS_KV");
        await using var provider = new ServiceCollection()
            .AddKvNamespace("COUNTED_FLAGS_KV")
            .AddFeatureManagement().AddKvFeatureDefinitions("COUNTED_FLAGS_KV").Services
            .BuildServiceProvider();
        var kv = provider.GetRequiredKeyedService<KvNamespace>("COUNTED_FLAGS_KV");
        await kv.PutAsync("Beta", "true");
        await kv.PutAsync("Broken", "{");
        var definitions = provider.GetRequiredService<IFeatureDefinitionProvider>();

        await definitions.GetFeatureDefinitionAsync("Beta");
        await definitions.GetFeatureDefinitionAsync("Gamma");
        await foreach (var definition in definitions.GetAllFeatureDefinitionsAsync())
        {
            definition.Name.Should().Be("Beta");
        }

        counted.Lines.Should().Equal(new[] { "load error", "load ok", "get hit", "get miss", "list ok" }.Select(line => $"feature_management {line} 1"));
    }

    [Fact]
    public async Task Definition_is_the_same_object_until_its_entry_changes()
    {
        await using var application = await FlagsApplication.StartAsync(seed: async kv =>
        {
            await kv.PutAsync("Beta", "true");
            await kv.PutAsync("Gamma", "false");
        });
        var beta = application.Definitions.GetFeatureDefinitionAsync("Beta");

        await application.Flags.PutAsync("Gamma", "true");
        await application.WhenAsync("Gamma", true);

        application.Definitions.GetFeatureDefinitionAsync("Beta").Should().BeSameAs(beta);
    }

    [Fact]
    public async Task Definitions_converge_beside_writers_and_none_is_half_of_two()
    {
        const int Writes = 200;
        await using var application = await FlagsApplication.StartAsync();
        var torn = 0;
        application.Definitions.Changed += () =>
        {
            var definition = application.Definitions.GetFeatureDefinitionAsync("Shared").Result;
            if (definition is not null && definition.EnabledFor.First().Name != definition.Variants.First().Name)
            {
                torn++;
            }
        };
        await Parallel.ForAsync(0, 4, async (writer, end) =>
        {
            for (var i = 1; i <= Writes; i++)
            {
                await application.Flags.PutAsync($"W{writer}", i % 2 == 0 ? "true" : "false", cancellationToken: end);
                await application.Flags.PutAsync(
                    "Shared", $$"""{ "enabled": true, "conditions": { "client_filters": [ { "name": "{{writer}}-{{i}}" } ] }, "variants": [ { "name": "{{writer}}-{{i}}" } ] }""", cancellationToken: end);
            }
        });
        await application.Flags.PutAsync("Last", "true");
        await application.WhenAsync("Last", true);

        torn.Should().Be(0);
        for (var writer = 0; writer < 4; writer++)
        {
            (await application.Manager.IsEnabledAsync($"W{writer}")).Should().BeTrue();
        }
    }

    [Fact]
    public async Task Namespace_that_is_not_registered_stops_the_host()
    {
        using var host = Application(services => services.AddKvNamespace("OTHER_KV"));

        var start = () => host.StartAsync();

        (await start.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*AddKvFeatureDefinitions*\"FLAGS_KV\"*AddKvNamespace*");
    }

    [Fact]
    public async Task Namespace_that_evicts_stops_the_host()
    {
        using var host = Application(services => services.AddKvNamespace("FLAGS_KV", kv => kv.LimitMemory(1 << 20, KvMemoryPolicy.Evict)));

        var start = () => host.StartAsync();

        (await start.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*AddKvFeatureDefinitions*\"FLAGS_KV\"*evicts*");
    }

    [Fact]
    public async Task Adapter_that_writes_among_the_definitions_stops_the_host()
    {
        using var host = Application(services => services.AddKvNamespace("FLAGS_KV").AddKvAdapter(
            new KvAdapter { Name = "pages", Namespace = "FLAGS_KV", Prefix = "flags/pages/", RegisteredBy = "AddPages" }));

        var start = () => host.StartAsync();

        (await start.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*AddKvFeatureDefinitions*\"flags/\"*AddPages*");
    }

    [Fact]
    public void Prefix_that_no_key_can_have_is_refused_when_it_is_registered()
    {
        var features = new ServiceCollection().AddFeatureManagement();
        var notUnicode = () => features.AddKvFeatureDefinitions("FLAGS_KV", "flag\uD800");
        var tooLong = () => features.AddKvFeatureDefinitions("FLAGS_KV", new string('f', 257));

        notUnicode.Should().Throw<ArgumentException>().WithMessage("*\"flag\\uD800\" is not Unicode*").Which.ParamName.Should().Be("prefix");
        tooLong.Should().Throw<ArgumentException>().WithMessage("*too long*256 bytes*").Which.ParamName.Should().Be("prefix");
        features.AddKvFeatureDefinitions("FLAGS_KV", new string('f', 256));
    }

    [Fact]
    public void Second_registration_is_refused()
    {
        var features = new ServiceCollection().AddFeatureManagement().AddKvFeatureDefinitions("FLAGS_KV");

        var again = () => features.AddKvFeatureDefinitions("OTHER_KV");

        again.Should().Throw<ArgumentException>().WithMessage("*AddKvFeatureDefinitions(\"FLAGS_KV\")*");
    }

    [Fact]
    public async Task Without_a_host_the_first_lookup_says_what_is_missing()
    {
        await using var provider = new ServiceCollection().AddFeatureManagement().AddKvFeatureDefinitions("FLAGS_KV").Services.BuildServiceProvider();
        var manager = provider.GetRequiredService<IFeatureManager>();

        var look = () => manager.IsEnabledAsync("Beta");

        (await look.Should().ThrowAsync<InvalidOperationException>()).WithMessage("*AddKvNamespace(\"FLAGS_KV\")*");
    }

    [Fact]
    public async Task Definitions_stay_when_the_namespace_is_disposed()
    {
        await using var kv = KvNamespace.Create("FLAGS_KV");
        await kv.PutAsync("Beta", "true");
        using var definitions = new KvFeatureDefinitionProvider(
            () => kv, new KvAdapter { Name = "feature_management", Namespace = "FLAGS_KV", Prefix = "", RegisteredBy = "a test" }, new LogLines());
        await definitions.LoadAsync(CancellationToken.None);

        await kv.DisposeAsync();

        (await definitions.GetFeatureDefinitionAsync("Beta")).Status.Should().Be(FeatureStatus.Conditional);
        definitions.Dispose();
        (await definitions.GetFeatureDefinitionAsync("Beta")).Should().NotBeNull("requests that end after the container need no exception");
    }

    private static IHost Application(Action<IServiceCollection> configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        configure(builder.Services);
        builder.Services.AddFeatureManagement().AddKvFeatureDefinitions("FLAGS_KV", "flags/");
        return builder.Build();
    }
}
