using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace KvStore.AspNetCore.Tests;

public sealed class HostingTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-hosting-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_host_opens_the_catalog_with_what_is_registered_in_code_and_keeps_what_is_created()
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

        second.Should().Throw<ArgumentException>().WithMessage("*registered already*");
    }

    private async Task<WebApplication> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddKvNamespace("CACHE_KV");
        builder.Services.AddKvCatalog(_directory);
        var app = builder.Build();
        await app.StartAsync();
        return app;
    }
}
