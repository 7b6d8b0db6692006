using KvStore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>
/// What was odd in the Wrangler files that services were registered from. It waits here for the host to start, because there is no
/// log while services are registered; without a host, for the first namespace that is opened.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class WranglerWarnings(IServiceProvider services, IEnumerable<WranglerWarning> warnings) : IHostedService
{
    private int _isLogged;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        LogOnce();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Logs the warnings, the first time that it is called.</summary>
    public void LogOnce()
    {
        if (Interlocked.Exchange(ref _isLogged, 1) == 0 && services.GetService<ILoggerFactory>() is { } factory)
        {
            var logger = factory.CreateLogger("KvStore.Hosting");
            foreach (var warning in warnings)
            {
                logger.WranglerFileIsOdd(warning.Text);
            }
        }
    }
}
