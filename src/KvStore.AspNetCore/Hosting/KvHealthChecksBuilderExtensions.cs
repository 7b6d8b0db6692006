using KvStore.Hosting;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds KV namespaces to health checks.</summary>
public static class KvHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check named <c>kv</c>: it fails when a namespace refuses writes. It looks at the namespaces of the catalog, or
    /// without one at those that <c>AddKvNamespace</c> registered. <c>AddKvCatalog</c> adds it by itself.
    /// </summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="failureStatus">What it reports then; null for unhealthy.</param>
    /// <returns>The same builder.</returns>
    public static IHealthChecksBuilder AddKvNamespaces(this IHealthChecksBuilder builder, HealthStatus? failureStatus = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new HealthCheckRegistration("kv", services => new KvHealthCheck(services), failureStatus, tags: null));
    }
}
