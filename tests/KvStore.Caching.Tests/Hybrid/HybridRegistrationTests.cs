using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace KvStore.Caching.Tests.Hybrid;

public sealed class HybridRegistrationTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cache_is_injected_also_beside_that_of_Microsoft(bool isFirst)
    {
        var services = new ServiceCollection();
        services.AddKvNamespace("CACHE_KV");
        if (isFirst)
        {
            services.AddKvHybridCache("CACHE_KV");
        }

        services.AddHybridCache().AddSerializer(new EmptySerializer());
        if (!isFirst)
        {
            services.AddKvHybridCache("CACHE_KV");
        }

        await using var provider = services.BuildServiceProvider();
        var cache = provider.GetRequiredService<HybridCache>();
        await cache.SetAsync("a", 1m);
        (await provider.GetRequiredKeyedService<KvNamespace>("CACHE_KV").GetAsync("hybrid/a")).Length.Should().Be(0, "the serializer of the builder was used");
    }

    [Fact]
    public void Second_cache_is_refused_at_once() => FluentActions
        .Invoking(() => new ServiceCollection().AddKvHybridCache("CACHE_KV").AddKvHybridCache("OTHER_KV"))
        .Should().Throw<ArgumentException>().WithMessage("*AddKvHybridCache(\"CACHE_KV\") was called before*");

    [Fact]
    public async Task Host_does_not_start_without_the_namespace()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddKvNamespace("OTHER_KV");
        builder.Services.AddKvHybridCache("CACHE_KV");
        using var host = builder.Build();
        (await FluentActions.Awaiting(() => host.StartAsync()).Should().ThrowAsync<OptionsValidationException>())
            .WithMessage("*AddKvHybridCache*CACHE_KV*services.AddKvNamespace(\"CACHE_KV\")*");
    }

    [Fact]
    public void Option_that_is_out_of_range_is_refused_at_once()
    {
        Refused(options => options.Prefix = "\uD800").WithMessage("*not Unicode*");
        Refused(options => options.Prefix = null!);
        Refused(options => options.MaximumPayloadBytes = 0).WithMessage("*from 1 to 26214400 bytes*");
        Refused(options => options.MaximumPayloadBytes = (25 << 20) + 1);
        Refused(options => options.MaximumKeyLength = 0).WithMessage("*at least 1 character*");
        Refused(options => options.DefaultEntryOptions = new() { Expiration = TimeSpan.Zero }).WithMessage("*greater than zero*");

        static FluentAssertions.Specialized.ExceptionAssertions<ArgumentException> Refused(Action<KvHybridCacheOptions> configure) =>
            FluentActions.Invoking(() => new ServiceCollection().AddKvHybridCache("CACHE_KV", configure)).Should().Throw<ArgumentException>();
    }

    [Theory]
    [InlineData("")]
    [InlineData("other/")]
    public async Task Prefix_may_be_chosen(string prefix)
    {
        await using var host = new HybridHost(configure: options => options.Prefix = prefix);
        await host.Cache.SetAsync("a", 1, tags: ["t"]);
        await host.Cache.SetAsync(".", 2);
        (await host.Cache.GetOrCreateAsync(".", _ => new ValueTask<int>(3))).Should().Be(2);
        (await host.KeysAsync()).Should().Contain($"{prefix}a").And.HaveCount(2);
        await host.Cache.RemoveByTagAsync("t");
        (await host.KeysAsync()).Should().ContainSingle();
        await host.Cache.RemoveByTagAsync("*");
        (await host.KeysAsync()).Should().BeEmpty();
    }

    [Fact]
    public async Task Prefix_of_the_longest_length_leaves_room_for_every_key()
    {
        await using var host = new HybridHost(configure: options => options.Prefix = new string('p', 255) + "/");
        await host.Cache.SetAsync(new string('k', 1024), 1, tags: ["t"]);
        await host.Cache.SetAsync(new string('k', 1023), 2, tags: ["t"]);
        (await host.Cache.GetOrCreateAsync(new string('k', 1024), _ => new ValueTask<int>(3))).Should().Be(1);
        await host.Cache.RemoveByTagAsync("t");
        host.Kv.Count.Should().Be(0);
    }

    private sealed class EmptySerializer : IHybridCacheSerializer<decimal>
    {
        public decimal Deserialize(System.Buffers.ReadOnlySequence<byte> source) => 0;

        public void Serialize(decimal value, System.Buffers.IBufferWriter<byte> target)
        {
        }
    }
}
