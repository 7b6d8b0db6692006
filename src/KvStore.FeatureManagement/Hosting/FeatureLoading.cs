using KvStore.Definitions;
using Microsoft.Extensions.Hosting;

namespace KvStore.Hosting;

/// <summary>Reads the definitions when the host starts, so that the first request need not wait, and a failure stops the host.</summary>
internal sealed class FeatureLoading(KvFeatureDefinitionProvider provider) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => provider.LoadAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
