using Microsoft.Extensions.Hosting;

namespace KvStore.Hosting;

/// <summary>
/// Opens every registered namespace before the host's first service starts: a wrong option stops the host, rather than the
/// first request that needs the namespace. The container disposes them.
/// </summary>
internal sealed class KvNamespaceLifetime(IKvNamespaceFactory factory) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        foreach (var name in factory.Names)
        {
            cancellationToken.ThrowIfCancellationRequested();
            _ = factory.Get(name);
        }

        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
