using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Tests.Configuration;

/// <summary>How a namespace that the configuration has opened becomes the namespace of the container.</summary>
public sealed class ConfigurationHandOverTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-configuration-").FullName;
    private readonly LogLines _log = new();

    private string Data => Path.Combine(_root, "data");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Values_are_there_before_the_container_and_after_a_restart()
    {
        using (var host = Application(kv => kv.PersistTo("data")).Build())
        {
            await host.StartAsync();
            await Namespace(host).PutAsync("Shop", """{ "Title": "Fruit" }""");
            await host.StopAsync();
        }

        var builder = Application(kv => kv.PersistTo("data"));
        builder.Configuration["Shop:Title"].Should().Be("Fruit");
        using var restarted = builder.Build();
        await restarted.StartAsync();
        await Namespace(restarted).PutAsync("Shop", """{ "Title": "Vegetables" }""");

        await builder.Configuration.WhenAsync("Shop:Title", "Vegetables");
        Directory.Exists(Data).Should().BeTrue("a relative path starts at the content root");
    }

    [Fact]
    public async Task Section_of_the_configuration_sets_the_options()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _root });
        builder.Configuration.AddInMemoryCollection([new("KvStore:CONFIG_KV:Persistence:Directory", "data"), new("KvStore:CONFIG_KV:Limits:KeyBytesMax", "99")]);
        builder.Configuration.AddKvNamespace("CONFIG_KV");
        builder.Services.AddKvNamespace("CONFIG_KV");
        using var host = builder.Build();

        await host.StartAsync();

        Namespace(host).Limits.KeyBytesMax.Should().Be(99);
        Directory.Exists(Data).Should().BeTrue();
    }

    [Fact]
    public async Task Container_with_the_options_of_the_configuration_takes_the_open_namespace()
    {
        var builder = Application(kv => kv.PersistTo("data").Limits(l => l with { KeyBytesMax = 99 }), register: false);
        builder.Services.AddKvNamespace("CONFIG_KV", kv => kv.PersistTo(Data).Limits(l => l with { KeyBytesMax = 99 }));
        using var host = builder.Build();

        await host.StartAsync();

        await Namespace(host).PutAsync("a", "1");
        await builder.Configuration.WhenAsync("a", "1");
    }

    [Theory]
    [InlineData("Persistence")]
    [InlineData("Limits")]
    [InlineData("Memory")]
    [InlineData("Replication")]
    [InlineData("EnforceWriteRate")]
    [InlineData("TimeProvider")]
    public async Task Container_with_other_options_is_refused_with_what_to_do(string option)
    {
        var builder = Application(kv => kv.PersistTo("data"), register: false);
        builder.Services.AddKvNamespace("CONFIG_KV", kv => _ = option switch
        {
            "Persistence" => kv.PersistTo("other"),
            "Limits" => kv.Limits(l => l with { KeyBytesMax = 99 }),
            "Memory" => kv.LimitMemory(1 << 20),
            "Replication" => kv.Replicate(r => r.Regions("a", "b")),
            "EnforceWriteRate" => kv.EnforceWriteRate(),
            _ => kv.Configure(o => o with { TimeProvider = new FakeTimeProvider() }),
        });
        using var host = builder.Build();

        var start = () => host.StartAsync();

        (await start.Should().ThrowAsync<OptionsValidationException>()).WithMessage($"*\"CONFIG_KV\"*{option}*Configuration.AddKvNamespace*");
        Directory.Exists(Path.Combine(_root, "other")).Should().BeFalse();
    }

    [Fact]
    public async Task Other_clock_of_the_container_is_a_warning()
    {
        var builder = Application();
        builder.Services.AddSingleton<TimeProvider>(new FakeTimeProvider());
        using var host = builder.Build();

        await host.StartAsync();

        _log.Warnings.Should().ContainSingle().Which.Should().Contain("CONFIG_KV").And.Contain("clock");
    }

    [Fact]
    public async Task Value_that_was_broken_before_the_container_is_in_the_log_of_the_host()
    {
        using (var host = Application(kv => kv.PersistTo("data")).Build())
        {
            await host.StartAsync();
            await Namespace(host).PutAsync("Shop", "{ secret");
        }

        _log.Lines.Clear();
        using var restarted = Application(kv => kv.PersistTo("data")).Build();
        await restarted.StartAsync();

        _log.Warnings.Should().ContainSingle().Which.Should().Contain("Shop").And.Contain("CONFIG_KV").And.NotContain("secret");
    }

    [Fact]
    public async Task Namespace_that_only_the_configuration_has_is_closed_with_the_host()
    {
        for (var i = 0; i < 2; i++)
        {
            var builder = Application(kv => kv.PersistTo("data"), register: false);
            builder.Configuration.AddInMemoryCollection([new("KvStore:CONFIG_KV:Limits:KeyBytesMax", "99")]);
            builder.Services.AddKvNamespace("OTHER_KV");
            using var host = builder.Build();
            await host.StartAsync();
            await host.StopAsync();
        }

        _log.Warnings.Should().BeEmpty();
    }

    [Fact]
    public async Task Configuration_that_outlives_its_containers_keeps_the_namespace_open()
    {
        using var configuration = Build(new ConfigurationBuilder().AddKvNamespace("CONFIG_KV", kv => kv.PersistTo(Data)));
        for (var i = 0; i < 2; i++)
        {
            await using var provider = new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddKvNamespace("CONFIG_KV").BuildServiceProvider();
            var kv = provider.GetRequiredService<KvNamespace>();
            provider.GetRequiredService<IKvNamespace>().Should().BeSameAs(kv);
            await kv.PutAsync("a", $"{i}");
            await configuration.WhenAsync("a", $"{i}");
        }

        configuration.Dispose();
        await using var reopened = await KvNamespace.OpenAsync("CONFIG_KV", new() { Persistence = new FilePersistence(Data) });
        (await reopened.GetTextAsync("a")).Should().Be("1");
    }

    [Fact]
    public async Task Container_that_outlives_the_configuration_keeps_the_namespace_open()
    {
        var configuration = Build(new ConfigurationBuilder().AddKvNamespace("CONFIG_KV", kv => kv.PersistTo(Data)));
        await using (var provider = new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddKvNamespace("CONFIG_KV").BuildServiceProvider())
        {
            var kv = provider.GetRequiredService<KvNamespace>();
            configuration.Dispose();
            await kv.PutAsync("a", "1");
            configuration["a"].Should().BeNull("a configuration that is disposed does not change");
        }

        await using var reopened = await KvNamespace.OpenAsync("CONFIG_KV", new() { Persistence = new FilePersistence(Data) });
        (await reopened.GetTextAsync("a")).Should().Be("1");
    }

    [Fact]
    public async Task Hosts_beside_each_other_do_not_share_a_namespace()
    {
        using var one = Application().Build();
        using var other = Application().Build();
        await one.StartAsync();
        await other.StartAsync();

        await Namespace(one).PutAsync("a", "1");
        await ConfigurationOf(one).WhenAsync("a", "1");

        Namespace(other).Count.Should().Be(0);
        ConfigurationOf(other)["a"].Should().BeNull();
    }

    [Fact]
    public async Task Sources_that_are_built_again_share_the_open_namespace()
    {
        var builder = Application(kv => kv.PersistTo("data"));
        await using var before = new ServiceCollection().AddSingleton<IConfiguration>(builder.Configuration).AddKvNamespace("CONFIG_KV").BuildServiceProvider();
        await before.GetRequiredService<KvNamespace>().PutAsync("a", "1");

        // A manager of configuration builds all sources again when one is inserted.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource());
        builder.Configuration["a"].Should().Be("1");
        using var host = builder.Build();
        await host.StartAsync();

        Namespace(host).Should().BeSameAs(before.GetRequiredService<KvNamespace>());
    }

    [Fact]
    public void Source_that_is_removed_closes_its_namespace()
    {
        var builder = Application(kv => kv.PersistTo("data"));

        builder.Configuration.Sources.Clear();

        using var free = Build(new ConfigurationBuilder().AddKvNamespace("CONFIG_KV", kv => kv.PersistTo(Data)));
    }

    [Fact]
    public void Plain_builder_that_is_built_twice_opens_its_namespace_once()
    {
        var builder = new ConfigurationBuilder()
            .AddInMemoryCollection([new("KvStore:CONFIG_KV:Persistence:Directory", Data)])
            .AddKvNamespace("CONFIG_KV");
        using (Build(builder))
        using (Build(builder))
        {
            Directory.Exists(Data).Should().BeTrue("the sources before say where it is");
        }

        using var again = Build(builder);
        using var chained = Build(new ConfigurationBuilder().AddConfiguration(again).AddKvNamespace("CONFIG_KV", read: o => o.Prefix = "other/"));
    }

    [Fact]
    public async Task Classic_host_takes_the_namespace_of_its_configuration()
    {
        using var host = new HostBuilder()
            .UseContentRoot(_root)
            .ConfigureHostConfiguration(configuration => configuration.AddKvNamespace("HOST_KV"))
            .ConfigureAppConfiguration(configuration => configuration.AddKvNamespace("CONFIG_KV", kv => kv.PersistTo("data")))
            .ConfigureServices(services => services.AddKvNamespace("HOST_KV").AddKvNamespace("CONFIG_KV"))
            .Build();
        await host.StartAsync();

        await Namespace(host).PutAsync("a", "1");
        await Namespace(host, "HOST_KV").PutAsync("b", "2");

        await ConfigurationOf(host).WhenAsync("a", "1");
        await ConfigurationOf(host).WhenAsync("b", "2");
        Directory.Exists(Data).Should().BeTrue("a relative path starts at the content root");
    }

    [Fact]
    public async Task Two_prefixes_of_one_namespace_are_two_calls()
    {
        var builder = Application(kv => kv.PersistTo("data"), read: o => o.Prefix = "site/");
        builder.Configuration.AddKvNamespace("CONFIG_KV", read: o => o.Prefix = "shared/");
        using var host = builder.Build();
        await host.StartAsync();

        await Namespace(host).PutAsync("site/a", "1");
        await Namespace(host).PutAsync("shared/b", "2");

        await builder.Configuration.WhenAsync("a", "1");
        await builder.Configuration.WhenAsync("b", "2");
        var again = () => builder.Configuration.AddKvNamespace("CONFIG_KV", kv => kv.PersistTo("other"));
        again.Should().Throw<ArgumentException>().WithMessage("*\"CONFIG_KV\"*first call*");
    }

    [Fact]
    public async Task Configuration_reads_the_namespace_that_a_test_has_put_in_its_place()
    {
        await using (var kv = await KvNamespace.OpenAsync("CONFIG_KV", new() { Persistence = new FilePersistence(Data) }))
        {
            await kv.PutAsync("a", "production");
        }

        var builder = Application(kv => kv.PersistTo("data"));
        builder.Services.ReplaceKvNamespaces();
        using var host = builder.Build();
        ConfigurationOf(host)["a"].Should().Be("production");
        await host.StartAsync();
        ConfigurationOf(host)["a"].Should().BeNull();

        await Namespace(host).PutAsync("a", "test");

        await ConfigurationOf(host).WhenAsync("a", "test");
        await using var free = await KvNamespace.OpenAsync("CONFIG_KV", new() { Persistence = new FilePersistence(Data) });
        (await free.GetTextAsync("a")).Should().Be("production");
    }

    [Fact]
    public async Task Setting_keeps_the_directory_of_code_closed_in_a_test()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _root });
        builder.Configuration.AddInMemoryCollection([new("KvStore:CONFIG_KV:Persistence:Enabled", "false")]);
        builder.Configuration.AddKvNamespace("CONFIG_KV", kv => kv.PersistTo("data"));
        builder.Services.AddKvNamespace("CONFIG_KV");
        using var host = builder.Build();

        await host.StartAsync();

        Directory.Exists(Data).Should().BeFalse();
    }

    [Fact]
    public async Task Directory_that_is_open_elsewhere_is_an_error_that_says_what_to_do()
    {
        await using var other = await KvNamespace.OpenAsync("OTHER_KV", new() { Persistence = new FilePersistence(Data) });

        var add = () => Application(kv => kv.PersistTo("data"));

        add.Should().Throw<InvalidOperationException>().WithMessage("*\"CONFIG_KV\"*Optional*").WithInnerException<KvDirectoryLockedException>();
    }

    [Fact]
    public async Task Optional_namespace_that_cannot_be_opened_is_read_when_the_container_can()
    {
        var other = await KvNamespace.OpenAsync("OTHER_KV", new() { Persistence = new FilePersistence(Data) });
        var builder = Application(kv => kv.PersistTo("data"), read: o => o.Optional = true, register: false);
        builder.Services.AddKvNamespace("CONFIG_KV", kv => kv.PersistTo("data"));
        using var host = builder.Build();
        ConfigurationOf(host)["a"].Should().BeNull();
        await other.PutAsync("a", "1");
        await other.DisposeAsync();

        await host.StartAsync();

        ConfigurationOf(host)["a"].Should().Be("1");
        _log.Warnings.Should().ContainSingle().Which.Should().Contain("CONFIG_KV").And.Contain("could not be opened");
    }

    [Fact]
    public void Option_that_is_wrong_is_an_error_that_names_the_setting()
    {
        var builder = new ConfigurationBuilder()
            .AddInMemoryCollection([new("KvStore:CONFIG_KV:Limits:KeyBytesMax", "secret")])
            .AddKvNamespace("CONFIG_KV", read: o => o.Optional = true);

        var build = () => builder.Build();

        build.Should().Throw<OptionsValidationException>().WithMessage("*CONFIG_KV*KvStore:CONFIG_KV:Limits:KeyBytesMax*").Which.Message.Should().NotContain("secret");
    }

    [Fact]
    public async Task Namespace_that_evicts_is_refused()
    {
        await using var evicting = KvNamespace.Create("EVICTING_KV", new() { Memory = new() { BytesMax = 1 << 20, WhenFull = KvMemoryPolicy.Evict } });

        var opened = () => Application(kv => kv.LimitMemory(1 << 20, KvMemoryPolicy.Evict));
        var given = () => new ConfigurationBuilder().AddKvNamespace(evicting);

        opened.Should().Throw<InvalidOperationException>().WithMessage("*\"CONFIG_KV\"*evicts*");
        given.Should().Throw<InvalidOperationException>().WithMessage("*\"EVICTING_KV\"*evicts*");
    }

    [Fact]
    public async Task Adapter_that_writes_where_configuration_is_read_is_refused_at_start()
    {
        var builder = Application(read: o => o.Prefix = "site/");
        builder.Services.AddKvAdapter(new KvAdapter { Name = "pages", Namespace = "CONFIG_KV", Prefix = "site/pages/", RegisteredBy = "AddPages" });
        using var host = builder.Build();

        var start = () => host.StartAsync();

        (await start.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*AddPages*Configuration.AddKvNamespace*\"site/\"*");
    }

    [Fact]
    public async Task Namespace_that_the_application_has_opened_is_taken_over()
    {
        await using var kv = KvNamespace.Create("CONFIG_KV");
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddKvNamespace(kv);
        builder.Services.AddKvNamespace("CONFIG_KV");
        using var host = builder.Build();
        await host.StartAsync();

        Namespace(host).Should().BeSameAs(kv);
    }

    [Fact]
    public async Task Namespace_that_the_application_disposes_leaves_its_last_values()
    {
        var kv = KvNamespace.Create("CONFIG_KV");
        await kv.PutAsync("a", "1");
        using var configuration = Build(new ConfigurationBuilder().AddKvNamespace(kv));

        await kv.DisposeAsync();
        configuration.Reload();

        configuration["a"].Should().Be("1");
        var late = () => new ConfigurationBuilder().AddKvNamespace(kv).Build();
        late.Should().Throw<ObjectDisposedException>();
    }

    private static ConfigurationRoot Build(IConfigurationBuilder builder) => (ConfigurationRoot)builder.Build();

    private static KvNamespace Namespace(IHost host, string name = "CONFIG_KV") => host.Services.GetRequiredKeyedService<KvNamespace>(name);

    private static IConfiguration ConfigurationOf(IHost host) => host.Services.GetRequiredService<IConfiguration>();

    private HostApplicationBuilder Application(
        Action<KvNamespaceBuilder>? configure = null, Action<KvConfigurationOptions>? read = null, bool register = true)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _root });
        builder.Configuration.AddKvNamespace("CONFIG_KV", configure, read);
        builder.Logging.AddProvider(_log);
        if (register)
        {
            builder.Services.AddKvNamespace("CONFIG_KV");
        }

        return builder;
    }
}
