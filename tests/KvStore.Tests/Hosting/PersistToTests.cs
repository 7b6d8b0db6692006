using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace KvStore.Tests.Hosting;

public sealed class PersistToTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-hosting-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Put_entry_is_there_in_the_next_container()
    {
        await using (var provider = Provider())
        {
            await provider.GetRequiredService<IKvNamespace>().PutAsync("k", "v");
        }

        await using (var provider = Provider())
        {
            (await provider.GetRequiredService<IKvNamespace>().GetTextAsync("k")).Should().Be("v");
        }
    }

    [Fact]
    public async Task A_container_that_is_disposed_synchronously_keeps_what_was_not_on_the_disk_yet()
    {
        var buffered = new FilePersistenceOptions { Durability = Durability.Buffered };
        using (var provider = Provider(buffered))
        {
            await provider.GetRequiredService<IKvNamespace>().PutAsync("k", "v");
        }

        await using (var provider = Provider())
        {
            (await provider.GetRequiredService<IKvNamespace>().GetTextAsync("k")).Should().Be("v");
        }
    }

    [Fact]
    public async Task Host_recovers_before_the_first_service_starts_and_flushes_after_the_last_stops()
    {
        await using (var provider = Provider())
        {
            await provider.GetRequiredService<IKvNamespace>().PutAsync("k", "v");
        }

        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });
        builder.Services.AddHostedService<Witness>();
        builder.Services.AddKvNamespace("CACHE_KV", kv => kv.PersistTo("cache", new FilePersistenceOptions { Durability = Durability.Buffered }));
        using (var host = builder.Build())
        {
            await host.StartAsync();
            var witness = host.Services.GetServices<IHostedService>().OfType<Witness>().Single();
            witness.Seen.Should().Be("v");
            await host.StopAsync();

            // Not disposed yet, and on the disk nevertheless: a copy of the files has it.
            var copy = Path.Combine(_directory, "copy");
            Directory.CreateDirectory(copy);
            foreach (var file in Directory.EnumerateFiles(Path.Combine(_directory, "cache")).Where(name => !name.EndsWith("lock", StringComparison.Ordinal)))
            {
                File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
            }

            await using var copied = await KvNamespace.OpenAsync("COPY", new KvNamespaceOptions { Persistence = new FilePersistence(copy) });
            (await copied.GetTextAsync("last words")).Should().Be("x");
        }
    }

    [Fact]
    public async Task A_relative_directory_of_the_configuration_starts_at_the_content_root()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["KvStore:CACHE_KV:Persistence:Directory"] = "configured/cache",
            ["KvStore:CACHE_KV:Persistence:Durability"] = "interval",
            ["KvStore:CACHE_KV:Persistence:Interval"] = "00:00:05",
            ["KvStore:CACHE_KV:Persistence:LargeValueBytes"] = "2048",
        });
        builder.Services.AddKvNamespace("CACHE_KV");
        using var host = builder.Build();
        await host.StartAsync();
        await host.Services.GetRequiredService<IKvNamespace>().PutAsync("k", new string('L', 2048));

        (await host.Services.GetRequiredService<IKvNamespace>().GetAsync("k")).IsLarge.Should().BeTrue();
        Directory.EnumerateFiles(Path.Combine(_directory, "configured", "cache"), "*.value").Should().ContainSingle();
    }

    [Theory]
    [InlineData("Directory", "", "*KvStore:CACHE_KV:Persistence:Directory*path of a directory*")]
    [InlineData("Directory", "a\0b", "*KvStore:CACHE_KV:Persistence:Directory*path of a directory*")]
    [InlineData("Durability", "forever", "*KvStore:CACHE_KV:Persistence:Durability*Immediate, Interval or Buffered*")]
    [InlineData("Durability", "1", "*KvStore:CACHE_KV:Persistence:Durability*Immediate, Interval or Buffered*")]
    [InlineData("Interval", "5", "*KvStore:CACHE_KV:Persistence:Interval*00:01:00*")]
    [InlineData("Interval", "02:00:00", "*Interval is 02:00:00*one hour*KvStore:CACHE_KV:Persistence:Interval.")]
    [InlineData("LogFileBytes", "big", "*KvStore:CACHE_KV:Persistence:LogFileBytes*whole number*")]
    [InlineData("CompactionDeadRatio", "half", "*KvStore:CACHE_KV:Persistence:CompactionDeadRatio*a number*")]
    [InlineData("ReadOnly", "maybe", "*KvStore:CACHE_KV:Persistence:ReadOnly*true or false*")]
    [InlineData("Enabled", "maybe", "*KvStore:CACHE_KV:Persistence:Enabled*true or false*")]
    [InlineData("Directroy", "x", "*Directroy*Directory, Durability*")]
    public void A_wrong_entry_of_the_configuration_is_an_error_that_names_it(string entry, string value, string message)
    {
        var entries = new Dictionary<string, string?> { ["KvStore:CACHE_KV:Persistence:Directory"] = Path.Combine(_directory, "x") };
        entries[$"KvStore:CACHE_KV:Persistence:{entry}"] = value;
        using var provider = new ServiceCollection()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(entries).Build())
            .AddKvNamespace("CACHE_KV")
            .BuildServiceProvider();

        var open = () => provider.GetRequiredService<IKvNamespace>();

        open.Should().Throw<OptionsValidationException>().WithMessage(message).And.Message.Should().Contain("CACHE_KV");
    }

    [Fact]
    public async Task A_directory_that_another_namespace_has_open_stops_the_host_and_is_named()
    {
        await using var provider = Provider();
        _ = provider.GetRequiredService<IKvNamespace>();
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });
        builder.Services.AddKvNamespace("CACHE_KV", kv => kv.PersistTo("cache"));
        using var host = builder.Build();

        var start = () => host.StartAsync();

        (await start.Should().ThrowAsync<KvDirectoryLockedException>()).WithMessage($"*{Environment.ProcessId}*");
    }

    [Fact]
    public void Failed_opening_is_retried_at_the_next_resolution()
    {
        using var provider = Provider();
        using (var holder = Provider())
        {
            _ = holder.GetRequiredService<IKvNamespace>();
            var open = () => provider.GetRequiredService<IKvNamespace>();
            open.Should().Throw<KvDirectoryLockedException>();
        }

        provider.GetRequiredService<IKvNamespace>().Name.Should().Be("CACHE_KV");
    }

    [Fact]
    public void A_wrong_option_is_refused_where_it_is_given()
    {
        var register = () => new ServiceCollection().AddKvNamespace("KV", kv => kv.PersistTo("x", new FilePersistenceOptions { LogFileBytes = 1 }));

        register.Should().Throw<ArgumentOutOfRangeException>().WithMessage("*LogFileBytes*");
    }

    private ServiceProvider Provider(FilePersistenceOptions? options = null) => new ServiceCollection()
        .AddKvNamespace("CACHE_KV", kv => kv.PersistTo(Path.Combine(_directory, "cache"), options))
        .BuildServiceProvider();

    /// <summary>Sees what is there when it starts, and puts something when it stops.</summary>
    private sealed class Witness(IKvNamespace kv) : IHostedService
    {
        public string? Seen { get; private set; }

        public async Task StartAsync(CancellationToken cancellationToken) =>
            Seen = await kv.GetTextAsync("k", cancellationToken: cancellationToken);

        public async Task StopAsync(CancellationToken cancellationToken) =>
            await kv.PutAsync("last words", "x", cancellationToken: cancellationToken);
    }
}
