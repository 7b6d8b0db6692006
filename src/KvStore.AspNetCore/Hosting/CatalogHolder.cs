using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>
/// The catalog of a service container. It is opened before the first service of the host starts, and closed with the container.
/// Without a host, the first use opens it.
/// </summary>
internal sealed class CatalogHolder(
    IServiceProvider services, Action<IServiceProvider, KvCatalogOptions> configure, bool readsConfiguration)
    : IHostedLifecycleService, IAsyncDisposable, IDisposable
{
    private readonly Lock _openingLock = new();
    private Task<KvNamespaceCatalog>? _opening;

    // A container creates its services synchronously. With a host the catalog is open by then. Without one this blocks; the opening
    // runs on the thread pool and does not need the thread of the caller.
    public KvNamespaceCatalog Catalog => OpenAsync(CancellationToken.None).GetAwaiter().GetResult();

    public Task StartingAsync(CancellationToken cancellationToken) => OpenAsync(cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        Task<KvNamespaceCatalog>? opening;
        lock (_openingLock)
        {
            opening = _opening;
        }

        if (opening is { IsFaulted: false, IsCanceled: false })
        {
            var catalog = await opening.ConfigureAwait(false);
            await catalog.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Blocks as KvNamespace.Dispose does: acknowledged writes must be on the disk before the process may end.
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private Task<KvNamespaceCatalog> OpenAsync(CancellationToken cancellationToken)
    {
        lock (_openingLock)
        {
            if (_opening is null or { IsFaulted: true } or { IsCanceled: true })
            {
                _opening = OpenCoreAsync(cancellationToken);
            }

            return _opening;
        }
    }

    private async Task<KvNamespaceCatalog> OpenCoreAsync(CancellationToken cancellationToken)
    {
        var defaults = new KvCatalogOptions
        {
            TimeProvider = services.GetService<TimeProvider>() ?? TimeProvider.System,
            LoggerFactory = services.GetService<ILoggerFactory>(),
        };
        var options = CatalogConfiguration.Build(services, defaults, configure, readsConfiguration);
        var factory = services.GetService<IKvNamespaceFactory>();
        return await KvNamespaceCatalog
            .OpenAsync(options, factory?.Names.Select(factory.Get), cancellationToken)
            .ConfigureAwait(false);
    }
}
