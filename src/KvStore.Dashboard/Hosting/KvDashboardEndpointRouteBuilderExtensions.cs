using KvStore;
using KvStore.Dashboard.Requests;
using KvStore.Dashboard.Routing;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Maps the dashboard.</summary>
public static partial class KvDashboardEndpointRouteBuilderExtensions
{
    private const string LogCategory = "KvStore.Dashboard";

    /// <summary>
    /// Maps the dashboard, which shows and changes the namespaces of a catalog in a browser, below
    /// <see cref="KvDashboardOptions.Prefix"/>. Every change requires an anti-forgery token.
    /// </summary>
    /// <param name="endpoints">The routes of the application, or a group of them. A path base may stand before them.</param>
    /// <param name="configure">Configures the authorization: at least one policy, or anonymous access.</param>
    /// <returns>All endpoints of the dashboard.</returns>
    /// <exception cref="InvalidOperationException">
    /// No policy is required and anonymous access is not allowed, a required policy is not registered, or no catalog, no authorization
    /// or no anti-forgery is.
    /// </exception>
    public static IEndpointConventionBuilder MapKvDashboard(this IEndpointRouteBuilder endpoints, Action<KvDashboardOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(configure);
        var options = new KvDashboardOptions();
        configure(options);
        options.Validate();
        var catalog = endpoints.ServiceProvider.GetService<KvNamespaceCatalog>()
            ?? throw new InvalidOperationException("No catalog of namespaces is registered; call services.AddKvCatalog(directory) first.");
        var logger = endpoints.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger(LogCategory);
        var routes = new DashboardRoutes(new DashboardContext(catalog, options, endpoints.ServiceProvider), logger);
        var group = endpoints.MapGroup(options.Prefix);
        if (options.IsAnonymous)
        {
            DashboardIsOpen(logger);
            group.AllowAnonymous();
        }
        else
        {
            RequirePolicies(group, options, endpoints.ServiceProvider);
        }

        routes.Map(group);
        return group;
    }

    // A policy that is not registered would refuse every request, but say so only when the first one comes.
    private static void RequirePolicies(RouteGroupBuilder group, KvDashboardOptions options, IServiceProvider services)
    {
        var provider = services.GetService<IAuthorizationPolicyProvider>()
            ?? throw new InvalidOperationException("The KV dashboard requires a policy; call services.AddAuthorization(...) first.");
        var registered = provider is DefaultAuthorizationPolicyProvider ? services.GetRequiredService<IOptions<AuthorizationOptions>>().Value : null;
        if (registered is not null && options.PolicyNames.FirstOrDefault(name => registered.GetPolicy(name) is null) is { } missing)
        {
            throw new InvalidOperationException($"The KV dashboard requires the policy \"{missing}\", which is not registered; AddAuthorization adds policies.");
        }

        if (options.PolicyNames.Count > 0)
        {
            group.RequireAuthorization([.. options.PolicyNames]);
        }

        foreach (var policy in options.Policies)
        {
            group.RequireAuthorization(policy);
        }
    }

    [LoggerMessage(32, LogLevel.Warning, "The KV dashboard answers every request without authentication, because AllowAnonymous was called. Require a policy outside of development.")]
    private static partial void DashboardIsOpen(ILogger logger);
}
