using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace KvStore.Tests.Hosting;

public sealed class AddKvNamespaceTests
{
    [Fact]
    public async Task A_namespace_is_a_keyed_singleton_under_its_name()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("CACHE_KV").BuildServiceProvider();

        var kv = provider.GetRequiredKeyedService<IKvNamespace>("CACHE_KV");
        await kv.PutAsync("k", "v");

        kv.Name.Should().Be("CACHE_KV");
        provider.GetRequiredKeyedService<IKvNamespace>("CACHE_KV").Should().BeSameAs(kv);
        (await kv.GetTextAsync("k")).Should().Be("v");
    }

    [Fact]
    public async Task The_first_one_registered_is_also_found_without_a_key()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("FIRST").AddKvNamespace("SECOND").BuildServiceProvider();

        provider.GetRequiredService<IKvNamespace>().Should().BeSameAs(provider.GetRequiredKeyedService<IKvNamespace>("FIRST"));
    }

    [Fact]
    public async Task Namespaces_of_two_names_hold_different_entries()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("A").AddKvNamespace("B").BuildServiceProvider();
        await provider.GetRequiredKeyedService<IKvNamespace>("A").PutAsync("k", "a");

        (await provider.GetRequiredKeyedService<IKvNamespace>("B").GetTextAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task The_factory_finds_each_by_name_and_names_them_in_order()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("B").AddKvNamespace("A").BuildServiceProvider();
        var factory = provider.GetRequiredService<IKvNamespaceFactory>();

        factory.Names.Should().Equal("B", "A");
        factory.Get("A").Should().BeSameAs(provider.GetRequiredKeyedService<IKvNamespace>("A"));
    }

    [Fact]
    public async Task The_factory_says_which_names_there_are_when_it_does_not_know_one()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("CACHE_KV").BuildServiceProvider();

        var act = () => provider.GetRequiredService<IKvNamespaceFactory>().Get("CASH_KV");

        act.Should().Throw<ArgumentException>().WithMessage("*\"CASH_KV\"*CACHE_KV*");
    }

    [Fact]
    public void Registering_a_name_twice_is_an_error()
    {
        var services = new ServiceCollection().AddKvNamespace("CACHE_KV");

        var act = () => services.AddKvNamespace("CACHE_KV");

        act.Should().Throw<ArgumentException>().WithMessage("*\"CACHE_KV\" is registered already*ReplaceKvNamespace*");
    }

    [Fact]
    public void Name_with_a_line_end_is_escaped_in_messages()
    {
        var services = new ServiceCollection().AddKvNamespace("A\nB");

        FluentActions.Invoking(() => services.AddKvNamespace("A\nB")).Should().Throw<ArgumentException>().WithMessage("*\"A\\u000AB\" is registered already*");
        FluentActions.Invoking(() => services.ReplaceKvNamespace("C")).Should().Throw<ArgumentException>().WithMessage("*Registered are: \"A\\u000AB\".*");
        using var kv = KvNamespace.Create("A\nB");
        FluentActions.Invoking(() => kv.InRegion("C")).Should().Throw<InvalidOperationException>().WithMessage("*\"A\\u000AB\" is not replicated*");
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData(null)]
    public void An_empty_name_is_an_error(string? name)
    {
        var act = () => new ServiceCollection().AddKvNamespace(name!);

        act.Should().Throw<ArgumentException>();
    }

    [Fact]
    public async Task Limits_come_from_the_configuration()
    {
        await using var provider = With("KvStore:CACHE_KV:Limits:KeyBytesMax", "4").AddKvNamespace("CACHE_KV").BuildServiceProvider();
        var kv = provider.GetRequiredService<IKvNamespace>();

        var act = () => kv.PutAsync("12345", "v").AsTask();

        await act.Should().ThrowAsync<KvException>().WithMessage("*key length limit of 4.");
    }

    [Theory]
    [InlineData("KvStore:CACHE_KV:Limits:KeyBytesMax", "0", "*CACHE_KV*KeyBytesMax is 0*1 to 4095*KvStore:CACHE_KV:Limits:KeyBytesMax.")]
    [InlineData("KvStore:CACHE_KV:Limits:ExpirationTtlMin", "00:00:00", "*CACHE_KV*ExpirationTtlMin*KvStore:CACHE_KV:Limits:ExpirationTtlMin.")]
    [InlineData("KvStore:CACHE_KV:Limits:KeyBytesMax", "many", "*CACHE_KV*KvStore:CACHE_KV:Limits:KeyBytesMax*whole number*")]
    [InlineData("KvStore:CACHE_KV:Limits:ExpirationTtlMin", "soon", "*CACHE_KV*ExpirationTtlMin*span of time*")]
    [InlineData("KvStore:CACHE_KV:Limits:ExpirationTtlMin", "60", "*CACHE_KV*ExpirationTtlMin*span of time*")]
    [InlineData("KvStore:CACHE_KV:Limits", "60", "*CACHE_KV*KvStore:CACHE_KV:Limits*settings of its own*")]
    [InlineData("KvStore:CACHE_KV", "60", "*CACHE_KV*KvStore:CACHE_KV*settings of its own*")]
    [InlineData("KvStore", "60", "*CACHE_KV*KvStore*settings of its own*")]
    [InlineData("KvStore:CACHE_KV:Limits:CacheTtlMin", "", "*CACHE_KV*CacheTtlMin*span of time*")]
    [InlineData("KvStore:CACHE_KV:Limits:KeyByteMax", "10", "*CACHE_KV*KvStore:CACHE_KV:Limits:KeyByteMax*no option*KeyBytesMax*")]
    [InlineData("KvStore:CACHE_KV:Limit", "10", "*CACHE_KV*KvStore:CACHE_KV:Limit*no option*Limits*")]
    public async Task A_wrong_option_stops_the_host_and_is_named(string key, string value, string message)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([new(key, value)]);
        builder.Services.AddKvNamespace("CACHE_KV");
        using var host = builder.Build();

        var act = () => host.StartAsync();

        await act.Should().ThrowAsync<OptionsValidationException>().WithMessage(message);
    }

    [Fact]
    public async Task The_clock_is_the_one_of_the_container()
    {
        var time = new FakeTimeProvider();
        await using var provider = new ServiceCollection().AddSingleton<TimeProvider>(time).AddKvNamespace("KV").BuildServiceProvider();
        var kv = provider.GetRequiredService<IKvNamespace>();
        await kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });

        time.Advance(TimeSpan.FromMinutes(1));

        (await kv.GetTextAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task The_container_disposes_its_namespaces()
    {
        var asynchronous = new ServiceCollection().AddKvNamespace("KV").BuildServiceProvider();
        var synchronous = new ServiceCollection().AddKvNamespace("KV").BuildServiceProvider();
        IKvNamespace[] namespaces = [asynchronous.GetRequiredService<IKvNamespace>(), synchronous.GetRequiredService<IKvNamespace>()];

        await asynchronous.DisposeAsync();
        synchronous.Dispose();

        foreach (var kv in namespaces)
        {
            var act = () => kv.GetAsync("k").AsTask();
            await act.Should().ThrowAsync<ObjectDisposedException>();
        }
    }

    private static IServiceCollection With(string key, string value) => new ServiceCollection()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection([new(key, value)]).Build());
}
