using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Tests.Hosting;

/// <summary>Code gives the defaults, and the configuration overrides them one setting at a time.</summary>
public sealed class ConfigurationTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-configuration-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_configured_directory_replaces_the_one_in_code()
    {
        await using (var provider = Configured(
            kv => kv.PersistTo(In("code"), new FilePersistenceOptions { LargeValueBytes = 2048 }), ("Persistence:Directory", In("configured"))))
        {
            var kv = provider.GetRequiredService<IKvNamespace>();
            await kv.PutAsync("k", new string('L', 2048));
            (await kv.GetAsync("k")).IsLarge.Should().BeTrue("the options in code still count");
        }

        Directory.Exists(In("code")).Should().BeFalse();
        Directory.EnumerateFiles(In("configured"), "*.log").Should().NotBeEmpty();
    }

    [Theory]
    [InlineData("Durability", "buffered")]
    [InlineData("Interval", "00:00:05")]
    [InlineData("LogFileBytes", "8192")]
    [InlineData("CompactionDeadRatio", "2.5")]
    [InlineData("CompactionBytesMin", "8192")]
    [InlineData("LargeValueBytes", "2048")]
    [InlineData("ReadOnly", "false")]
    public void A_persistence_setting_alone_changes_only_itself(string setting, string value)
    {
        var given = new FilePersistenceOptions
        {
            Durability = Durability.Interval,
            Interval = TimeSpan.FromSeconds(7),
            LogFileBytes = 16_384,
            CompactionDeadRatio = 3,
            CompactionBytesMin = 16_384,
            LargeValueBytes = 4096,
            ReadOnly = true,
        };

        var options = Applied(kv => kv.PersistTo(In("code"), given), ($"Persistence:{setting}", value));

        var files = options.Persistence.Should().BeOfType<FilePersistence>().Subject;
        files.Directory.Should().Be(In("code"));
        var changed = typeof(FilePersistenceOptions).GetProperties()
            .Where(property => !Equals(property.GetValue(files.Options), property.GetValue(given)));
        changed.Select(property => property.Name).Should().Equal(setting);
    }

    [Fact]
    public async Task Persistence_can_be_switched_off()
    {
        await using (var provider = Configured(
            kv => kv.PersistTo(In("code")), ("Persistence:Enabled", "false"), ("Persistence:Directory", In("configured"))))
        {
            await provider.GetRequiredService<IKvNamespace>().PutAsync("k", "v");
        }

        Directory.EnumerateFileSystemEntries(_directory).Should().BeEmpty();
    }

    [Fact]
    public void A_persistence_setting_without_a_directory_is_an_error_that_says_where_to_set_one()
    {
        using var provider = Configured(configure: null, ("Persistence:Durability", "Buffered"));

        var open = () => provider.GetRequiredService<IKvNamespace>();

        open.Should().Throw<OptionsValidationException>()
            .WithMessage("*KvStore:KV:Persistence:Durability*no directory*KvStore:KV:Persistence:Directory*PersistTo*");
    }

    [Fact]
    public void An_option_of_files_beside_another_persistence_is_an_error()
    {
        using var provider = Configured(
            kv => kv.Configure(o => o with { Persistence = new KvStore.TestKit.Persistence.MemoryPersistence() }), ("Persistence:Durability", "Buffered"));

        var open = () => provider.GetRequiredService<IKvNamespace>();

        open.Should().Throw<OptionsValidationException>().WithMessage("*KvStore:KV:Persistence:Durability*MemoryPersistence*");
    }

    [Fact]
    public void A_limit_alone_changes_only_itself()
    {
        var given = new KvLimits { KeyBytesMax = 10, ValueBytesMax = 20 };

        var options = Applied(kv => kv.Limits(_ => given), ("Limits:KeyBytesMax", "4"));

        options.Limits.Should().Be(given with { KeyBytesMax = 4 });
    }

    [Fact]
    public void A_replication_setting_alone_changes_only_itself()
    {
        var lag = KvLag.Fixed(TimeSpan.FromSeconds(5));
        void Replicate(KvNamespaceBuilder kv) => kv.Replicate(r => r
            .Regions("jnb", "lhr").Lag(lag).EdgeCache(c => c with { EntriesMax = 7 }).ClockSkew("jnb", TimeSpan.FromSeconds(1)));

        var options = Applied(
            Replicate, ("Replication:HomeRegion", "lhr"), ("Replication:EdgeCache:RefreshHotKeys", "true"), ("Replication:ClockSkew:lhr", "00:00:02"));

        var replication = options.Replication!;
        replication.Regions.Should().Equal("jnb", "lhr");
        replication.HomeRegion.Should().Be("lhr");
        replication.Lag.Should().BeSameAs(lag);
        replication.EdgeCache.Should().Be(new KvEdgeCacheOptions { EntriesMax = 7, RefreshHotKeys = true });
        replication.ClockSkew.Should().Equal(new Dictionary<string, TimeSpan> { ["jnb"] = TimeSpan.FromSeconds(1), ["lhr"] = TimeSpan.FromSeconds(2) });
    }

    [Fact]
    public void Replication_can_be_switched_off() =>
        Applied(kv => kv.Replicate(r => r.Regions("jnb", "lhr")), ("Replication:Enabled", "false")).Replication.Should().BeNull();

    [Theory]
    [InlineData("Replication:Lag", "00:00:01", "Replication:Lag:Min", "00:00:01")]
    [InlineData("Replication:Regions", "jnb", "Replication:Regions:0", "lhr")]
    [InlineData("Replication:EdgeCache", "true", "Replication:EdgeCache:EntriesMax", "7")]
    public void A_value_and_settings_below_it_is_an_error(string first, string firstValue, string second, string secondValue)
    {
        using var provider = Configured(configure: null, (first, firstValue), (second, secondValue));

        var open = () => provider.GetRequiredService<IKvNamespace>();

        open.Should().Throw<OptionsValidationException>().WithMessage($"*KvStore:KV:{first} has a value and settings below it*");
    }

    [Fact]
    public void Section_bound_in_code_comes_before_the_section_of_the_namespace()
    {
        var configuration = Configuration(("Own:Limits:KeyBytesMax", "7"), ("Own:Limits:ValueBytesMax", "7"), ("KvStore:KV:Limits:KeyBytesMax", "4"));
        using var provider = new ServiceCollection().AddSingleton(configuration)
            .AddKvNamespace("KV", kv => kv.Bind(configuration.GetSection("Own")))
            .BuildServiceProvider();

        var limits = provider.GetRequiredService<KvNamespace>().Limits;

        (limits.KeyBytesMax, limits.ValueBytesMax).Should().Be((4, 7));
    }

    [Fact]
    public void Every_option_can_be_set_in_the_configuration()
    {
        // Those that are objects of code.
        string[] inCodeOnly = [nameof(KvNamespaceOptions.TimeProvider), nameof(KvNamespaceOptions.LoggerFactory), nameof(KvNamespaceOptions.Engine)];

        NotConfigurable("", typeof(KvNamespaceOptions)).Except(inCodeOnly).Should().BeEmpty();
        NotConfigurable("Limits:", typeof(KvLimits)).Should().BeEmpty();
        NotConfigurable("Persistence:", typeof(FilePersistenceOptions)).Should().BeEmpty();
        NotConfigurable("Replication:", typeof(KvReplicationOptions)).Should().BeEmpty();
        NotConfigurable("Replication:EdgeCache:", typeof(KvEdgeCacheOptions)).Should().BeEmpty();
    }

    [Fact]
    public void Names_with_a_colon_have_sections_of_their_own()
    {
        using var provider = new ServiceCollection()
            .AddSingleton(Configuration(
                ("KvStore:eu:Limits:KeyBytesMax", "1"),
                ("KvStore:eu%3Aflags:Limits:KeyBytesMax", "2"),
                ("KvStore:eu%253Aflags:Limits:KeyBytesMax", "3"),
                ("KvStore:eu%3ALimits:Limits:KeyBytesMax", "4")))
            .AddKvNamespace("eu").AddKvNamespace("eu:flags").AddKvNamespace("eu%3Aflags").AddKvNamespace("eu:Limits")
            .BuildServiceProvider();

        string[] names = ["eu", "eu:flags", "eu%3Aflags", "eu:Limits"];
        names.Select(name => provider.GetRequiredKeyedService<KvNamespace>(name).Limits.KeyBytesMax).Should().Equal(1, 2, 3, 4);
    }

    [Theory]
    [InlineData("A:B", "KvStore:A:B:Limits:KeyBytesMax", "KvStore:A%3AB")]
    [InlineData("a:b", "KvStore:A:B:Limits:KeyBytesMax", "KvStore:a%3Ab")]
    [InlineData("A:B:C", "KvStore:A:B:C:Persistence:Directory", "KvStore:A%3AB%3AC")]
    [InlineData("A:Limits:B", "KvStore:A:Limits:B:EnforceWriteRate", "KvStore:A%3ALimits%3AB")]
    [InlineData("A:Profile", "KvStore:A:Profile:Limits:KeyBytesMax", "KvStore:A%3AProfile")]
    [InlineData("A:Persistence", "KvStore:A:Persistence:Persistence:Directory", "KvStore:A%3APersistence")]
    public void Section_of_a_name_with_a_colon_in_another_section_names_the_right_path(string name, string key, string path)
    {
        using var provider = new ServiceCollection().AddSingleton(Configuration((key, "1"))).AddKvNamespace("A").AddKvNamespace(name).BuildServiceProvider();

        var open = () => provider.GetRequiredKeyedService<KvNamespace>("A");

        open.Should().Throw<OptionsValidationException>().WithMessage($"*KvStore:A:*The section of the namespace \"{name}\" is {path}*");
    }

    [Fact]
    public void Section_of_a_name_with_a_colon_that_another_namespace_reads_is_a_warning()
    {
        var log = new LogLines();
        using var provider = new ServiceCollection()
            .AddLogging(logging => logging.AddProvider(log))
            .AddSingleton(Configuration(("KvStore:eu:Limits:KeyBytesMax", "1")))
            .AddKvNamespace("eu").AddKvNamespace("eu:Limits").BuildServiceProvider();

        provider.GetRequiredKeyedService<KvNamespace>("eu").Limits.KeyBytesMax.Should().Be(1);

        log.Warnings.Should().ContainSingle().Which.Should().Contain("KvStore:eu:Limits").And.Contain("KvStore:eu%3ALimits");
    }

    [Fact]
    public void Names_that_differ_in_case_only_share_no_section()
    {
        var services = new ServiceCollection().AddKvNamespace("cache").AddKvNamespace("CACHE");
        using var unconfigured = services.BuildServiceProvider();
        unconfigured.GetRequiredKeyedService<KvNamespace>("CACHE").Name.Should().Be("CACHE");
        using var provider = services.AddSingleton(Configuration(("KvStore:cache:Limits:KeyBytesMax", "1"))).BuildServiceProvider();

        var open = () => provider.GetRequiredKeyedService<KvNamespace>("CACHE");

        open.Should().Throw<OptionsValidationException>().WithMessage("*KvStore:*\"cache\"*not case-sensitive*");
    }

    [Fact]
    public async Task A_section_of_no_namespace_is_a_warning_that_names_it()
    {
        var log = new LogLines();
        await using var provider = new ServiceCollection()
            .AddLogging(logging => logging.AddProvider(log))
            .AddSingleton(Configuration(("KvStore:CACHE_KVX:Limits:KeyBytesMax", "1"), ("KvStore:cache_kv:Limits:KeyBytesMax", "1"),
                ("KvStore:TokenOfTheApplication", "hunter2")))
            .AddKvNamespace("CACHE_KV").AddKvNamespace("a:b")
            .BuildServiceProvider();

        _ = provider.GetRequiredKeyedService<IKvNamespace>("CACHE_KV");
        _ = provider.GetRequiredKeyedService<IKvNamespace>("a:b");

        log.Warnings.Should().ContainSingle().Which.Should().Contain("KvStore:CACHE_KVX").And.Contain("KvStore:CACHE_KV, KvStore:a%3Ab");
    }

    private static IConfiguration Configuration(params (string Key, string Value)[] settings) => new ConfigurationBuilder()
        .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build();

    private static ServiceProvider Configured(Action<KvNamespaceBuilder>? configure, params (string Key, string Value)[] settings) =>
        new ServiceCollection()
            .AddSingleton(Configuration([.. settings.Select(setting => ($"KvStore:KV:{setting.Key}", setting.Value))]))
            .AddKvNamespace("KV", configure)
            .BuildServiceProvider();

    private static KvNamespaceOptions Applied(Action<KvNamespaceBuilder> configure, params (string Key, string Value)[] settings)
    {
        using var services = new ServiceCollection().BuildServiceProvider();
        var builder = new KvNamespaceBuilder(new ServiceCollection(), "KV");
        configure(builder);
        return KvStore.Hosting.KvConfiguration.Apply(services, Configuration(settings), builder.Build(services, new KvNamespaceOptions()));
    }

    private static List<string> NotConfigurable(string prefix, Type options)
    {
        using var services = new ServiceCollection().BuildServiceProvider();
        return [.. options.GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(property => property.Name).Where(name => IsUnknown(prefix + name))];

        bool IsUnknown(string key)
        {
            try
            {
                KvStore.Hosting.KvConfiguration.Apply(services, Configuration((key, "?")), new KvNamespaceOptions());
                return false;
            }
            catch (FormatException e)
            {
                return e.Message.Contains("is no option", StringComparison.Ordinal);
            }
        }
    }

    private string In(string name) => Path.Combine(_directory, name);
}
