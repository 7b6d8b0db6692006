using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace KvStore.Hosting;

/// <summary>Fails when a namespace refuses writes: one of the catalog, or one that is registered in code.</summary>
internal sealed class KvHealthCheck(IServiceProvider services) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var unhealthy = new Dictionary<string, object>(StringComparer.Ordinal);
        KvPersistenceHealth? refusing = null;
        foreach (var kv in Namespaces())
        {
            if (kv is KvNamespace { Health: { Status: not KvPersistenceStatus.Healthy } health })
            {
                unhealthy[kv.Name] = health.Reason ?? health.Status.ToString();
                refusing ??= health.Status == KvPersistenceStatus.Degraded ? null : health;
            }
        }

        return Task.FromResult(refusing is not null ? new HealthCheckResult(context.Registration.FailureStatus, "A namespace refuses writes.", refusing.Exception, unhealthy)
            : unhealthy.Count > 0 ? HealthCheckResult.Degraded("A namespace takes writes, but not all is well.", data: unhealthy)
            : HealthCheckResult.Healthy());
    }

    private IEnumerable<IKvNamespace> Namespaces()
    {
        if (services.GetService<KvNamespaceCatalog>() is { } catalog)
        {
            return catalog.Entries.Select(entry => entry.Namespace);
        }

        var factory = services.GetService<IKvNamespaceFactory>();
        return factory is null ? [] : factory.Names.Select(factory.Get);
    }
}
