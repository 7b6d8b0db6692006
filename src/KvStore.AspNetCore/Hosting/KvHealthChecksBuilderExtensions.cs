using KvStore.Hosting;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds KV namespaces to health checks.</summary>
public static class KvHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check named <c>kv</c>, which fails when a namespace refuses writes. It checks the namespaces of the catalog, or without
    /// a catalog the namespaces that <c>AddKvNamespace</c> registered. <c>AddKvCatalog</c> adds the check too.
    /// </summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="failureStatus">The status that the check reports when it fails; null for unhealthy.</param>
    /// <returns>The same builder.</returns>
    public static IHealthChecksBuilder AddKvNamespaces(this IHealthChecksBuilder builder, HealthStatus? failureStatus = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new HealthCheckRegistration("kv", services => new KvHealthCheck(services), failureStatus, tags: null));
    }
}
