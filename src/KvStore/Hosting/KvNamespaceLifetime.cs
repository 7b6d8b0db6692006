using Microsoft.Extensions.Hosting;

namespace KvStore.Hosting;

/// <summary>
/// Opens every registered namespace before the host's first service starts. So recovery ends before the first request, and an invalid
/// option, a wrong adapter or a damaged file stops the host. Flushes the namespaces after the last service has stopped. The container disposes them.
/// </summary>
internal sealed class KvNamespaceLifetime(KvNamespaceOpener opener, KvNamespaceRegistry registry, KvAdapterRegistry adapters) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        adapters.CheckNames(registry.Names);
        return Task.WhenAll(registry.Names.Select(name => opener.OpenAsync(name, cancellationToken)));
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(opener.Opened.Select(kv => FlushAsync(kv, cancellationToken)));

    private static async Task FlushAsync(KvNamespace kv, CancellationToken cancellationToken)
    {
        try
        {
            await kv.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // A host that is stopped twice, for example in a test, may have disposed the namespace; disposing flushes.
        }
    }
}
