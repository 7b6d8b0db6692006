using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KvStore.Tests.Budget;

/// <summary>The options of the budget, from code and from configuration.</summary>
public sealed class MemoryOptionsTests
{
    [Theory]
    [InlineData(1048575, KvMemoryPolicy.Refuse, "KvMemoryOptions.BytesMax is 1048575; it must be at least 1048576 (1 MiB).*")]
    [InlineData(-1, KvMemoryPolicy.Evict, "KvMemoryOptions.BytesMax is -1; it must be at least 1048576 (1 MiB).*")]
    [InlineData(1048576, (KvMemoryPolicy)7, "KvMemoryOptions.WhenFull is 7; it must be Refuse or Evict.*")]
    [InlineData(null, KvMemoryPolicy.Evict, "KvMemoryOptions.WhenFull is Evict, but BytesMax is not set*")]
    public void Bad_option_is_named_with_what_is_allowed(int? bytesMax, KvMemoryPolicy whenFull, string message)
    {
        var create = () => KvNamespace.Create("KV", new KvNamespaceOptions { Memory = new KvMemoryOptions { BytesMax = bytesMax, WhenFull = whenFull } });

        create.Should().Throw<ArgumentException>().WithMessage(message);
    }

    [Fact]
    public async Task Evict_is_refused_where_nothing_can_be_removed()
    {
        var persistence = new FilePersistence("nowhere", new FilePersistenceOptions { ReadOnly = true });
        var options = new KvNamespaceOptions { Persistence = persistence, Memory = new KvMemoryOptions { BytesMax = 1 << 20, WhenFull = KvMemoryPolicy.Evict } };

        var open = async () => await KvNamespace.OpenAsync("KV", options);

        await open.Should().ThrowAsync<ArgumentException>().WithMessage("KvMemoryOptions.WhenFull is Evict, and the directory is opened to be read only*");
    }

    [Fact]
    public async Task Options_without_a_limit_limit_nothing()
    {
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { Memory = new KvMemoryOptions() });

        await kv.PutAsync("large", new byte[5 << 20]);

        kv.Count.Should().Be(1);
    }

    [Fact]
    public async Task Configuration_limits_memory()
    {
        using var provider = Configured(kv => kv.LimitMemory(512L << 20), ("Memory:BytesMax", "1048576"), ("Memory:WhenFull", "refuse"));

        await provider.GetRequiredService<IKvNamespace>().Invoking(kv => kv.PutAsync("large", new byte[2 << 20]).AsTask())
            .Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 507);
    }

    [Theory]
    [InlineData("Memory:BytesMax", "1 GiB", "*KvStore:KV:Memory:BytesMax cannot be read; it must be a whole number.*")]
    [InlineData("Memory:BytesMax", "7", "*KvMemoryOptions.BytesMax is 7; it must be at least 1048576 (1 MiB). The configuration sets it in KvStore:KV:Memory:BytesMax.*")]
    [InlineData("Memory:WhenFull", "Panic", "*KvStore:KV:Memory:WhenFull cannot be read; it must be Refuse or Evict.*")]
    [InlineData("Memory:Bytes", "7", "*KvStore:KV:Memory:Bytes is no option. Options are: BytesMax and WhenFull.*")]
    [InlineData("Memory", "7", "*KvStore:KV:Memory is a section with settings of its own*")]
    public void Bad_setting_is_named(string key, string value, string message)
    {
        using var provider = Configured(configure: null, (key, value));

        provider.Invoking(p => p.GetRequiredService<IKvNamespace>()).Should().Throw<OptionsValidationException>().WithMessage(message);
    }

    [Fact]
    public void Builder_checks_the_limit_where_it_is_set()
    {
        var add = () => new ServiceCollection().AddKvNamespace("KV", kv => kv.LimitMemory(1000));

        add.Should().Throw<ArgumentOutOfRangeException>().WithMessage("KvMemoryOptions.BytesMax is 1000;*");
    }

    private static ServiceProvider Configured(Action<KvNamespaceBuilder>? configure, params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create($"KvStore:KV:{setting.Key}", (string?)setting.Value)))
            .Build();
        return new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddKvNamespace("KV", configure).BuildServiceProvider();
    }
}
