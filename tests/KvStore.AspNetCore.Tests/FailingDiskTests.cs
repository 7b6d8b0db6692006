using System.Net;
using KvStore.TestKit.Persistence;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace KvStore.AspNetCore.Tests;

/// <summary>The answers to clients and the log for operators when the disk of a namespace fails.</summary>
public sealed class FailingDiskTests : IDisposable
{
    private const string Secret = "a-secret-of-enough-length";

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-failing-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Failing_disk_refuses_writes_with_503_keeps_reads_and_is_unhealthy()
    {
        var disk = new SimulatedDisk();
        var kv = await KvNamespace.OpenAsync("registered", new KvNamespaceOptions
        {
            Persistence = new FilePersistence("disk", new FilePersistenceOptions(), _ => disk),
        });
        await kv.PutAsync("k", "before");
        await using var catalog = await KvNamespaceCatalog.OpenAsync(registered: [kv]);
        var path = $"namespaces/{catalog.Entries.Single().Id}";
        await using var services = new ServiceCollection().AddSingleton(catalog).AddLogging().AddHealthChecks().AddKvNamespaces().Services.BuildServiceProvider();
        var health = services.GetRequiredService<HealthCheckService>();
        (await health.CheckHealthAsync()).Status.Should().Be(HealthStatus.Healthy);
        await using (var host = await TestHost.StartAsync(catalog, app => app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Secret)))))
        await using (var binding = await TestHost.StartAsync(catalog, app => app.MapKvBinding()))
        {
            using var api = new ApiClient(host.Url, Secret);
            _ = new FaultyDisk(disk, "flush", 1, "Input/output error", isForGood: true);

            foreach (var answer in new[]
            {
                await api.PutAsync($"{path}/values/k", "after"),
                await api.DeleteAsync($"{path}/values/k"),
                await api.PutAsync($"{path}/bulk", """[{"key":"k","value":"after"}]"""),
                await api.PostAsync($"{path}/bulk/delete", """["k"]"""),
            })
            {
                answer.Status.Should().Be(HttpStatusCode.ServiceUnavailable);
                answer.Code.Should().Be(10001);
                answer.Text.Should().NotContain("Input/output", "what is wrong with the disk is not for clients");
            }

            using var runtime = new HttpClient();
            runtime.DefaultRequestHeaders.Add("X-Namespace", "registered");
            var put = await runtime.PutAsync(binding.Url + "/k?urlencoded=true", new StringContent("after"));
            put.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
            put.ReasonPhrase.Should().Be("the namespace does not take writes at present");

            (await api.GetAsync($"{path}/values/k")).Text.Should().Be("before");
            (await runtime.GetStringAsync(binding.Url + "/k?urlencoded=true")).Should().Be("before");
        }

        var report = await health.CheckHealthAsync();
        report.Status.Should().Be(HealthStatus.Unhealthy);
        report.Entries["kv"].Data.Should().ContainKey("registered");
        await kv.Invoking(async closing => await closing.DisposeAsync()).Should().NotThrowAsync<NullReferenceException>();
    }

    [Fact]
    public async Task Failing_compaction_is_degraded_takes_writes_and_becomes_healthy_again()
    {
        var disk = new SimulatedDisk();
        var isFailing = true;
        disk.BeforeStep = (_, name) =>
        {
            if (Volatile.Read(ref isFailing) && name.Contains("snapshot", StringComparison.Ordinal))
            {
                throw new IOException("No space left on device");
            }
        };
        await using var kv = await KvNamespace.OpenAsync("registered", new KvNamespaceOptions
        {
            Persistence = new FilePersistence("disk", new FilePersistenceOptions { LogFileBytes = 4096, CompactionBytesMin = 16 * 1024 }, _ => disk),
        });
        await using var catalog = await KvNamespaceCatalog.OpenAsync(registered: [kv]);
        await using var services = new ServiceCollection().AddSingleton(catalog).AddLogging().AddHealthChecks().AddKvNamespaces().Services.BuildServiceProvider();
        var health = services.GetRequiredService<HealthCheckService>();
        (await health.CheckHealthAsync()).Status.Should().Be(HealthStatus.Healthy);
        await using var host = await TestHost.StartAsync(catalog, app => app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Secret))));
        using var api = new ApiClient(host.Url, Secret);
        var path = $"namespaces/{catalog.Entries.Single().Id}";

        await PutUntilAsync(KvPersistenceStatus.Degraded);

        var report = await health.CheckHealthAsync();
        report.Status.Should().Be(HealthStatus.Degraded);
        report.Entries["kv"].Data.Should().ContainKey("registered").WhoseValue.Should().BeOfType<string>().Which.Should().Contain("No space left");
        (await api.PutAsync($"{path}/values/k", "after")).Status.Should().Be(HttpStatusCode.OK);
        (await api.GetAsync($"{path}/values/k")).Text.Should().Be("after");

        Volatile.Write(ref isFailing, false);
        await kv.CompactAsync();
        (await health.CheckHealthAsync()).Status.Should().Be(HealthStatus.Healthy);

        async Task PutUntilAsync(KvPersistenceStatus status)
        {
            using var end = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            for (var i = 0; kv.Health.Status != status; i++)
            {
                await kv.PutAsync($"key {i % 5}", new string('v', 500), cancellationToken: end.Token);
            }
        }
    }

    [Fact]
    public async Task Without_a_catalog_the_health_check_looks_at_the_namespaces_registered_in_code()
    {
        await using var services = new ServiceCollection().AddLogging().AddKvNamespace("CACHE_KV", kv => kv.PersistTo(_directory))
            .AddHealthChecks().AddKvNamespaces(HealthStatus.Degraded).Services.BuildServiceProvider();
        var health = services.GetRequiredService<HealthCheckService>();
        (await health.CheckHealthAsync()).Status.Should().Be(HealthStatus.Healthy);

        await ((KvNamespace)services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV")).DisposeAsync();

        var report = await health.CheckHealthAsync();
        report.Status.Should().Be(HealthStatus.Degraded, "that is what it was asked to report");
        report.Entries["kv"].Data.Should().ContainKey("CACHE_KV");
    }
}
