using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KvStore.Tests.Hosting;

public sealed class ReplicateTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task A_registered_namespace_has_the_regions_that_code_gives_it()
    {
        await using var provider = new ServiceCollection().AddSingleton<TimeProvider>(_time)
            .AddKvNamespace("FLAGS", kv => kv.Replicate(r => r
                .Regions("jnb", "lhr", "sfo")
                .Home("lhr")
                .Lag(KvLag.Uniform(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60), seed: 42))
                .ClockSkew("sfo", TimeSpan.FromSeconds(2))))
            .BuildServiceProvider();
        var flags = provider.GetRequiredKeyedService<IKvNamespace>("FLAGS");

        await flags.PutAsync("k", "v");

        (await flags.InRegion("lhr").GetTextAsync("k")).Should().Be("v");
        (await flags.InRegion("jnb").GetTextAsync("k")).Should().BeNull();
        (await flags.InRegion("jnb").InRegion("lhr").GetTextAsync("k")).Should().Be("v");
        flags.Replication!.HomeRegion.Should().Be("lhr");
        flags.InRegion("jnb").Replication.Should().BeSameAs(flags.Replication, "a view and its namespace have the same one");
        flags.Replication!.GetClockSkew("sfo").Should().Be(TimeSpan.FromSeconds(2));
        _time.Advance(TimeSpan.FromSeconds(60));
        (await flags.InRegion("jnb").GetTextAsync("k")).Should().Be("v");
    }

    [Fact]
    public async Task Edge_caches_and_the_write_rate_are_a_word_each()
    {
        await using var provider = new ServiceCollection().AddSingleton<TimeProvider>(_time)
            .AddKvNamespace("FLAGS", kv => kv
                .Replicate(r => r.Regions("jnb", "lhr").EdgeCache(c => c with { CacheTtl = TimeSpan.FromMinutes(5) }))
                .EnforceWriteRate())
            .BuildServiceProvider();
        var flags = provider.GetRequiredService<IKvNamespace>();
        await flags.InRegion("lhr").GetAsync("k");
        await flags.PutAsync("k", "v");
        _time.Advance(TimeSpan.FromSeconds(299));

        (await flags.InRegion("lhr").GetAsync("k")).CacheStatus.Should().Be("HIT");
        await flags.PutAsync("k", "v");
        var act = () => flags.PutAsync("k", "v").AsTask();
        await act.Should().ThrowAsync<KvException>().WithMessage("*429*");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_profile_and_regions_go_together_in_either_order(bool isProfileFirst)
    {
        await using var provider = new ServiceCollection().AddSingleton<TimeProvider>(_time)
            .AddKvNamespace("FLAGS", kv => _ = isProfileFirst
                ? kv.Profile(KvProfile.WorkersKv).Replicate(r => r.Regions("jnb", "lhr"))
                : kv.Replicate(r => r.Regions("jnb", "lhr")).Profile(KvProfile.WorkersKv))
            .BuildServiceProvider();

        (await provider.GetRequiredService<IKvNamespace>().InRegion("lhr").GetAsync("k")).CacheStatus.Should().Be("MISS");
    }

    [Fact]
    public async Task Regions_come_from_the_configuration_as_well()
    {
        await using var provider = Configured(
            ("Profile", "instant"),
            ("EnforceWriteRate", "true"),
            ("Limits:NamespaceKeysMax", "1"),
            ("Limits:NamespaceWriteInterval", "00:00:00"),
            ("Limits:MetadataBytesMax", "100"),
            ("Replication:Regions:0", "jnb"),
            ("Replication:Regions:1", "lhr"),
            ("Replication:HomeRegion", "lhr"),
            ("Replication:Lag:Min", "00:00:05"),
            ("Replication:Lag:Max", "00:00:05"),
            ("Replication:Lag:Seed", "7"),
            ("Replication:ClockSkew:jnb", "-00:00:01"));
        var kv = provider.GetRequiredService<IKvNamespace>();
        await kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson("1") });

        kv.Replication!.Regions.Should().Equal("jnb", "lhr");
        kv.Replication!.GetClockSkew("jnb").Should().Be(TimeSpan.FromSeconds(-1));
        (await kv.InRegion("lhr").GetTextAsync("k")).Should().Be("v");
        _time.Advance(TimeSpan.FromSeconds(4.9));
        (await kv.InRegion("jnb").GetTextAsync("k")).Should().BeNull();
        _time.Advance(TimeSpan.FromSeconds(0.1));
        (await kv.InRegion("jnb").GetTextAsync("k")).Should().Be("v");
        var act = () => kv.PutAsync("second", "v").AsTask();
        await act.Should().ThrowAsync<KvException>().WithMessage("*413*limit of 1.");
    }

    [Fact]
    public async Task Short_forms_are_understood()
    {
        await using var provider = Configured(
            ("Replication:Regions", "jnb, lhr"), ("Replication:Lag", "00:00:10"), ("Replication:EdgeCache:CacheTtl", "00:01:30"),
            ("Replication:EdgeCache:RefreshHotKeys", "true"), ("Replication:EdgeCache:EntriesMax", "10"));
        var kv = provider.GetRequiredService<IKvNamespace>();

        (await kv.GetAsync("k")).CacheStatus.Should().Be("MISS");
        _time.Advance(TimeSpan.FromSeconds(89));
        (await kv.GetAsync("k")).CacheStatus.Should().Be("HIT");
        _time.Advance(TimeSpan.FromSeconds(1));
        (await kv.GetAsync("k")).CacheStatus.Should().Be("EXPIRED");
    }

    [Fact]
    public async Task Percentiles_and_a_plain_cache_can_be_configured()
    {
        await using var provider = Configured(
            ("Replication:Regions", "jnb,lhr"), ("Replication:Lag:Median", "00:00:01"), ("Replication:Lag:P95", "00:00:02"),
            ("Replication:Lag:P99", "00:00:03"), ("Replication:EdgeCache", "true"));

        (await provider.GetRequiredService<IKvNamespace>().GetAsync("k")).CacheStatus.Should().Be("MISS");
    }

    [Theory]
    [InlineData("Profile", "fast", "*KvStore:KV:Profile*WorkersKv or Instant*")]
    [InlineData("EnforceWriteRate", "maybe", "*KvStore:KV:EnforceWriteRate*true or false*")]
    [InlineData("Replication:HomeRegion", "fra", "*Regions is empty*")]
    [InlineData("Replication:Region", "fra", "*Replication:Region*no option*Regions*")]
    [InlineData("Replication:Lag:Min", "00:00:01", "*Replication:Lag*Min and Max*")]
    [InlineData("Replication:Lag", "5", "*KvStore:KV:Replication:Lag *span of time*")]
    [InlineData("Replication:EdgeCache:Ttl", "5", "*EdgeCache:Ttl*no option*CacheTtl*")]
    [InlineData("Replication", "jnb,lhr", "*Replication*section*")]
    [InlineData("Replication:HomeRegion", "", "*KvStore:KV:Replication:HomeRegion*name of one of the regions*")]
    [InlineData("Replication:Lag", "-00:00:01", "*KvStore:KV:Replication:Lag*")]
    [InlineData("Replication:ClockSkew", "00:00:01", "*KvStore:KV:Replication:ClockSkew*")]
    public void Replication_setting_that_cannot_be_parsed_is_named(string key, string value, string message)
    {
        using var provider = Configured((key, value));

        var act = () => provider.GetRequiredService<IKvNamespace>();

        act.Should().Throw<OptionsValidationException>().WithMessage(message);
    }

    [Fact]
    public async Task Regions_of_a_namespace_without_regions_cannot_be_resolved()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("PLAIN").BuildServiceProvider();
        var kv = provider.GetRequiredService<IKvNamespace>();

        var other = new ReferenceStore("REFERENCE", _time);

        kv.Replication.Should().BeNull();
        other.Replication.Should().BeNull();
        Action[] acts = [() => kv.InRegion("jnb"), () => other.InRegion("jnb")];
        foreach (var act in acts)
        {
            act.Should().Throw<InvalidOperationException>().WithMessage("*not replicated*");
        }
    }

    private ServiceProvider Configured(params (string Key, string Value)[] entries) => new ServiceCollection()
        .AddSingleton<TimeProvider>(_time)
        .AddSingleton<IConfiguration>(new ConfigurationBuilder()
            .AddInMemoryCollection(entries.Select(entry => KeyValuePair.Create($"KvStore:KV:{entry.Key}", (string?)entry.Value))).Build())
        .AddKvNamespace("KV")
        .BuildServiceProvider();
}
