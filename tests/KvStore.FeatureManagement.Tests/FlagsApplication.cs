using KvStore.Definitions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.FeatureManagement;
using Microsoft.FeatureManagement.FeatureFilters;

namespace KvStore.FeatureManagement.Tests;

/// <summary>A host with Microsoft.FeatureManagement on a namespace.</summary>
internal sealed class FlagsApplication : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    private readonly IHost _host;

    private FlagsApplication(IHost host, FakeTimeProvider time, LogLines log)
    {
        (_host, Time, Log) = (host, time, log);
        Flags = host.Services.GetRequiredKeyedService<KvNamespace>("FLAGS_KV");
        Manager = host.Services.GetRequiredService<IVariantFeatureManager>();
        Definitions = host.Services.GetRequiredService<KvFeatureDefinitionProvider>();
    }

    public FakeTimeProvider Time { get; }

    public LogLines Log { get; }

    public KvNamespace Flags { get; }

    public IVariantFeatureManager Manager { get; }

    public KvFeatureDefinitionProvider Definitions { get; }

    public IServiceProvider Services => _host.Services;

    public static async Task<FlagsApplication> StartAsync(
        string? directory = null, string prefix = "", Func<KvNamespace, Task>? seed = null, Action<IFeatureManagementBuilder>? configure = null)
    {
        var log = new LogLines();
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 11, 27, 12, 0, 0, TimeSpan.Zero));
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Logging.AddProvider(log);
        builder.Services.AddSingleton<TimeProvider>(time);
        builder.Services.AddKvNamespace("FLAGS_KV", kv => _ = directory is null ? kv : kv.PersistTo(directory));
        var features = builder.Services.AddFeatureManagement().AddKvFeatureDefinitions("FLAGS_KV", prefix);
        configure?.Invoke(features);
        var host = builder.Build();
        if (seed is not null)
        {
            await seed(host.Services.GetRequiredKeyedService<KvNamespace>("FLAGS_KV"));
        }

        await host.StartAsync();
        return new FlagsApplication(host, time, log);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    /// <summary>Makes a change, and completes when a feature is on or off.</summary>
    public Task WhenAsync(string feature, bool isEnabled) =>
        WhenAsync(async () => await Manager.IsEnabledAsync(feature) == isEnabled);

    /// <summary>Completes when the definitions are as expected.</summary>
    public async Task WhenAsync(Func<ValueTask<bool>> isExpected)
    {
        while (true)
        {
            var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            void Notice() => changed.TrySetResult();
            Definitions.Changed += Notice;
            try
            {
                if (await isExpected())
                {
                    return;
                }

                await changed.Task.WaitAsync(s_patience);
            }
            finally
            {
                Definitions.Changed -= Notice;
            }
        }
    }

    /// <summary>Whether a feature is on for a user.</summary>
    public ValueTask<bool> IsEnabledForAsync(string feature, string user, params string[] groups) =>
        Manager.IsEnabledAsync(feature, new TargetingContext { UserId = user, Groups = groups });

    /// <summary>The name of the variant for a user.</summary>
    public async Task<string?> VariantForAsync(string feature, string user, params string[] groups) =>
        (await Manager.GetVariantAsync(feature, new TargetingContext { UserId = user, Groups = groups }))?.Name;
}
