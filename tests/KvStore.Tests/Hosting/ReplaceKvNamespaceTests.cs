using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Tests.Hosting;

public sealed class ReplaceKvNamespaceTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-replace-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Nothing_of_the_replaced_namespace_is_opened()
    {
        var builder = Application();
        builder.Services.ReplaceKvNamespace("CACHE_KV");
        using var host = builder.Build();

        await host.StartAsync();
        await host.Services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV").PutAsync("k", "v");
        await host.StopAsync();

        Directory.Exists(Path.Combine(_directory, "code")).Should().BeFalse();
        Directory.Exists(Path.Combine(_directory, "configured")).Should().BeFalse();
        Directory.Exists(Path.Combine(_directory, "flags")).Should().BeTrue("the other namespace stays as it was");
    }

    [Fact]
    public async Task All_namespaces_are_replaced_in_one_line()
    {
        var builder = Application();
        var names = new List<string>();
        builder.Services.ReplaceKvNamespaces(kv => names.Add(kv.Name));
        using var host = builder.Build();

        await host.StartAsync();

        names.Should().Equal("CACHE_KV", "FLAGS_KV");
        Directory.EnumerateFileSystemEntries(_directory).Should().BeEmpty();
    }

    [Fact]
    public async Task The_replacement_has_its_own_options()
    {
        var time = new FakeTimeProvider();
        var builder = Application();
        builder.Services.ReplaceKvNamespace("CACHE_KV", kv => kv.PersistTo("replaced").Configure(o => o with { TimeProvider = time }));
        using var host = builder.Build();
        await host.StartAsync();
        var kv = host.Services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV");
        await kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });

        time.Advance(TimeSpan.FromMinutes(1));

        (await kv.GetTextAsync("k")).Should().BeNull();
        Directory.Exists(Path.Combine(_directory, "replaced")).Should().BeTrue();
    }

    [Fact]
    public async Task Replaced_namespace_keeps_its_position_in_the_order_of_registration()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("A").AddKvNamespace("B").ReplaceKvNamespace("A").BuildServiceProvider();

        provider.GetRequiredService<IKvNamespaceFactory>().Names.Should().Equal("A", "B");
        provider.GetRequiredService<IKvNamespace>().Should().BeSameAs(provider.GetRequiredKeyedService<IKvNamespace>("A"));
    }

    [Fact]
    public async Task A_container_that_was_built_before_keeps_what_it_had()
    {
        var services = new ServiceCollection().AddKvNamespace("A", kv => kv.Limits(l => l with { KeyBytesMax = 7 }));
        await using var before = services.BuildServiceProvider();

        await using var after = services.ReplaceKvNamespace("A").BuildServiceProvider();

        before.GetRequiredService<KvNamespace>().Limits.KeyBytesMax.Should().Be(7);
        after.GetRequiredService<KvNamespace>().Limits.KeyBytesMax.Should().Be(512);
    }

    [Fact]
    public async Task The_configuration_of_the_replaced_namespace_is_read_only_when_bound()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("KvStore:A:Limits:KeyBytesMax", "7")]).Build();
        var services = new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddKvNamespace("A").ReplaceKvNamespace("A");
        await using var unbound = services.BuildServiceProvider();

        await using var bound = services.ReplaceKvNamespace("A", kv => kv.Bind(configuration.GetSection("KvStore:A"))).BuildServiceProvider();

        unbound.GetRequiredService<KvNamespace>().Limits.KeyBytesMax.Should().Be(512);
        bound.GetRequiredService<KvNamespace>().Limits.KeyBytesMax.Should().Be(7);
    }

    [Fact]
    public void A_name_that_is_not_registered_is_an_error_that_names_those_that_are()
    {
        var services = new ServiceCollection().AddKvNamespace("CACHE_KV");

        var replace = () => services.ReplaceKvNamespace("CASH_KV");

        replace.Should().Throw<ArgumentException>().WithMessage("*\"CASH_KV\"*CACHE_KV*after*");
    }

    [Fact]
    public void Replacing_all_of_none_is_an_error()
    {
        var replace = () => new ServiceCollection().ReplaceKvNamespaces();

        replace.Should().Throw<InvalidOperationException>().WithMessage("*after*");
    }

    // An application as it is in production: one directory from code, one from its settings.
    private HostApplicationBuilder Application()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });
        builder.Configuration.AddInMemoryCollection([new("KvStore:CACHE_KV:Persistence:Directory", "configured")]);
        builder.Services.AddKvNamespace("CACHE_KV", kv => kv.PersistTo("code"));
        builder.Services.AddKvNamespace("FLAGS_KV", kv => kv.PersistTo("flags"));
        return builder;
    }
}
