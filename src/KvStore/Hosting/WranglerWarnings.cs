using KvStore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>
/// Logs the warnings about Wrangler files when the host starts. There is no log while services are registered.
/// </summary>
internal sealed class WranglerWarnings(IServiceProvider services, IEnumerable<WranglerWarning> warnings) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (services.GetService<ILoggerFactory>() is { } factory)
        {
            var logger = factory.CreateLogger("KvStore.Hosting");
            foreach (var warning in warnings)
            {
                logger.WranglerFileIsOdd(warning.Text);
            }
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
