using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.AspNetCore.Tests;

public sealed class HostingTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-hosting-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Host_opens_the_catalog_with_registered_namespaces_and_keeps_created_ones()
    {
        await using (var app = await StartAsync())
        {
            var catalog = app.Services.GetRequiredService<KvNamespaceCatalog>();
            catalog.FindByIdOrTitle("CACHE_KV")!.Namespace.Should().BeSameAs(app.Services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV"));
            await (await catalog.CreateAsync("made")).Namespace.PutAsync("k", "v");
            await app.StopAsync();
        }

        await using var again = await StartAsync();
        var kept = again.Services.GetRequiredService<KvNamespaceCatalog>();
        (await kept.FindByIdOrTitle("made")!.Namespace.GetTextAsync("k")).Should().Be("v");
        await again.StopAsync();
    }

    [Fact]
    public async Task The_health_check_fails_when_a_namespace_refuses_writes()
    {
        await using var app = await StartAsync();
        var health = app.Services.GetRequiredService<HealthCheckService>();
        (await health.CheckHealthAsync()).Status.Should().Be(HealthStatus.Healthy);

        // One that is closed takes none.
        var entry = await app.Services.GetRequiredService<KvNamespaceCatalog>().CreateAsync("ailing");
        await ((KvNamespace)entry.Namespace).DisposeAsync();

        var report = await health.CheckHealthAsync();
        report.Status.Should().Be(HealthStatus.Unhealthy);
        report.Entries["kv"].Data.Should().ContainKey("ailing");
        await app.StopAsync();
    }

    [Fact]
    public void A_second_catalog_is_refused()
    {
        var services = new ServiceCollection().AddKvCatalog(_directory);

        var second = () => services.AddKvCatalog(null);

        second.Should().Throw<ArgumentException>().WithMessage("*registered already*ReplaceKvCatalog*");
    }

    [Fact]
    public async Task Configuration_moves_the_catalog_and_sets_single_options()
    {
        var code = Path.Combine(_directory, "code");
        var configured = Path.Combine(_directory, "configured");
        await using var app = await StartAsync(
            services => services.AddKvCatalog(code, options =>
            {
                options.Persistence = new FilePersistenceOptions { LargeValueBytes = 2000 };
                options.Limits = new KvLimits { KeyBytesMax = 20 };
            }),
            ("KvCatalog:Persistence:Directory", configured),
            ("KvCatalog:Persistence:Durability", "Buffered"),
            ("KvCatalog:Limits:ValueBytesMax", "3000"));
        var kv = (await app.Services.GetRequiredService<KvNamespaceCatalog>().CreateAsync("made")).Namespace;

        await kv.PutAsync("large", new byte[2001]);

        File.Exists(Path.Combine(configured, "catalog.json")).Should().BeTrue();
        Directory.EnumerateFiles(configured, "*.value", SearchOption.AllDirectories).Should().ContainSingle("what code says of other options stays");
        Directory.Exists(code).Should().BeFalse();
        await kv.Awaiting(it => it.PutAsync(new string('k', 21), "v").AsTask()).Should().ThrowAsync<KvException>("the limit in code stays");
        await kv.Awaiting(it => it.PutAsync("k", new byte[3001]).AsTask()).Should().ThrowAsync<KvException>();
        await app.StopAsync();
    }

    [Fact]
    public async Task Configuration_keeps_a_catalog_in_memory()
    {
        var code = Path.Combine(_directory, "code");
        await using var app = await StartAsync(services => services.AddKvCatalog(code), ("KvCatalog:Persistence:Enabled", "false"));

        await app.Services.GetRequiredService<KvNamespaceCatalog>().CreateAsync("made");

        Directory.Exists(code).Should().BeFalse();
        await app.StopAsync();
    }

    [Fact]
    public async Task A_relative_directory_starts_at_the_content_root()
    {
        await using var app = await StartAsync(
            services => services.AddKvCatalog("code"), ("KvCatalog:Persistence:Durability", "Interval"), ("contentRoot", _directory));
        await app.StopAsync();

        Directory.Exists(Path.Combine(_directory, "code")).Should().BeTrue();
    }

    [Theory]
    [InlineData("KvCatalog:Directory", "elsewhere", "*KvCatalog:Directory is no option*Persistence and Limits*")]
    [InlineData("KvCatalog", "elsewhere", "*KvCatalog is a section*")]
    [InlineData("KvCatalog:Persistence:Durability", "hunter2", "*KvCatalog:Persistence:Durability cannot be read*")]
    [InlineData("KvCatalog:Persistence:Directory", " ", "*KvCatalog:Persistence:Directory cannot be read*path of a directory*")]
    [InlineData("KvCatalog:Persistence:LogFileBytes", "1", "*LogFileBytes*KvCatalog:Persistence:LogFileBytes*")]
    [InlineData("KvCatalog:Limits:KeyBytesMax", "-1", "*KeyBytesMax*KvCatalog:Limits:KeyBytesMax*")]
    public async Task A_setting_of_the_catalog_that_is_wrong_stops_the_host(string setting, string value, string message)
    {
        var start = () => StartAsync(services => services.AddKvCatalog(_directory), (setting, value));

        var failure = (await start.Should().ThrowAsync<OptionsValidationException>().WithMessage(message)).Which;

        failure.ToString().Should().NotContain("hunter2").And.NotContain("elsewhere");
        Directory.EnumerateFileSystemEntries(_directory).Should().BeEmpty();
    }

    [Fact]
    public async Task An_option_of_files_without_a_directory_stops_the_host()
    {
        var start = () => StartAsync(services => services.AddKvCatalog(null), ("KvCatalog:Persistence:Durability", "Interval"));

        await start.Should().ThrowAsync<OptionsValidationException>().WithMessage(
            "*KvCatalog:Persistence:Durability is set, but no directory is. Set KvCatalog:Persistence:Directory, or give AddKvCatalog one.");
    }

    [Fact]
    public async Task A_replaced_catalog_opens_nothing_of_what_code_and_configuration_say()
    {
        var code = Path.Combine(_directory, "code");
        var configured = Path.Combine(_directory, "configured");
        await using var app = await StartAsync(
            services => services.AddKvCatalog(code).ReplaceKvCatalog(),
            ("KvCatalog:Persistence:Directory", configured),
            ("KvCatalog:Persistence:Durability", "no such thing"));

        await app.Services.GetRequiredService<KvNamespaceCatalog>().CreateAsync("made");

        Directory.EnumerateFileSystemEntries(_directory).Should().BeEmpty();
        await app.StopAsync();
    }

    [Fact]
    public async Task A_replaced_catalog_may_have_a_directory_of_its_own()
    {
        await using var app = await StartAsync(services => services.AddKvCatalog(null).ReplaceKvCatalog(_directory));
        await app.StopAsync();

        Directory.EnumerateFileSystemEntries(_directory).Should().NotBeEmpty();
    }

    [Fact]
    public void Where_no_catalog_is_registered_none_can_be_replaced()
    {
        var replace = () => new ServiceCollection().ReplaceKvCatalog();

        replace.Should().Throw<InvalidOperationException>().WithMessage("*after AddKvCatalog*");
    }

    private Task<WebApplication> StartAsync() => StartAsync(services => services.AddKvCatalog(_directory));

    private static async Task<WebApplication> StartAsync(Action<IServiceCollection> add, params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            ContentRootPath = settings.FirstOrDefault(setting => setting.Key == "contentRoot").Value,
        });
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => new KeyValuePair<string, string?>(setting.Key, setting.Value)));
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddKvNamespace("CACHE_KV");
        add(builder.Services);
        var app = builder.Build();
        try
        {
            await app.StartAsync();
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }

        return app;
    }
}
