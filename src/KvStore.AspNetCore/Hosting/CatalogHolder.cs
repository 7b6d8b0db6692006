using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>
/// The catalog of a container: opened before the host's first service starts, closed with the container. Where there is no
/// host, whoever asks first opens it.
/// </summary>
internal sealed class CatalogHolder(
    IServiceProvider services, Func<IServiceProvider, KvCatalogOptions, KvCatalogOptions> configure, bool readsConfiguration)
    : IHostedLifecycleService, IAsyncDisposable, IDisposable
{
    private readonly Lock _gate = new();
    private Task<KvNamespaceCatalog>? _opening;

    // A container makes its services synchronously. With a host the catalog is open by then; what is waited for otherwise
    // runs on the thread pool and needs no thread of the caller's.
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
        lock (_gate)
        {
            opening = _opening;
        }

        if (opening is { IsFaulted: false, IsCanceled: false })
        {
            var catalog = await opening.ConfigureAwait(false);
            await catalog.DisposeAsync().ConfigureAwait(false);
        }
    }

    // As with KvNamespace.Dispose: returning before everything is on the disk would lose it.
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private Task<KvNamespaceCatalog> OpenAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
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
