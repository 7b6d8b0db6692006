using KvStore;
using KvStore.Binding;
using KvStore.Dashboard;
using KvStore.Rest;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Puts the namespaces of a catalog on the network.</summary>
public static partial class KvEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps the Cloudflare v4 REST API for Workers KV, as wrangler and the SDKs speak it, below
    /// <c>/client/v4/accounts/{account}/storage/kv/namespaces</c>. Any account is accepted.
    /// </summary>
    /// <param name="endpoints">Where to map it; its own prefix apart, at the root.</param>
    /// <param name="configure">Who may come in: at least one token, or everybody.</param>
    /// <returns>The endpoint.</returns>
    /// <exception cref="InvalidOperationException">Nobody is let in, or no catalog is registered.</exception>
    public static IEndpointConventionBuilder MapKvApi(this IEndpointRouteBuilder endpoints, Action<KvApiOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(configure);
        var options = new KvApiOptions();
        configure(options);
        options.Validate();
        var logger = endpoints.ServiceProvider.GetRequiredService<ILogger<ApiEndpoint>>();
        if (options.IsAnonymous)
        {
            ApiIsOpen(logger);
        }

        var endpoint = new ApiEndpoint(CatalogOf(endpoints), options, logger);
        return endpoints.Map(options.Prefix + "/accounts/{account}/storage/kv/{**path}", endpoint.HandleAsync);
    }

    /// <summary>
    /// Maps the server that the open-source Workers runtime (workerd) sends the operations of a KV binding to. It takes every
    /// path, so it needs an address, and thus an application, of its own. The namespace comes from the header
    /// <c>X-Namespace</c>, its id or title. Serve HTTP/1.1: the errors travel in the reason phrase.
    /// </summary>
    /// <param name="endpoints">Where to map it: at the root.</param>
    /// <param name="configure">Who may come in; without it, whoever connects over loopback or a Unix socket and calls the server by a name of the loopback.</param>
    /// <returns>The endpoint.</returns>
    /// <exception cref="InvalidOperationException">No catalog is registered.</exception>
    public static IEndpointConventionBuilder MapKvBinding(this IEndpointRouteBuilder endpoints, Action<KvBindingOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var options = new KvBindingOptions();
        configure?.Invoke(options);
        var logger = endpoints.ServiceProvider.GetRequiredService<ILogger<BindingEndpoint>>();
        if (options.IsAnonymous)
        {
            BindingIsOpen(logger);
        }
        else if (options.Secrets.Count == 0)
        {
            BindingHasNoSecret(logger);
        }

        var endpoint = new BindingEndpoint(CatalogOf(endpoints), options, logger);
        return endpoints.Map("/{**key}", endpoint.HandleAsync);
    }

    /// <summary>
    /// Maps the dashboard, where people see and manage the namespaces of a catalog in a browser, below
    /// <see cref="KvDashboardOptions.Prefix"/>. Every change carries an anti-forgery token.
    /// </summary>
    /// <param name="endpoints">Where to map it. A group and a path base may lie before its own prefix.</param>
    /// <param name="configure">Who may come in: at least one policy, or everybody.</param>
    /// <returns>All its endpoints.</returns>
    /// <exception cref="InvalidOperationException">
    /// Nobody is let in, a policy is not registered, or no catalog, no authorization or no anti-forgery is.
    /// </exception>
    public static IEndpointConventionBuilder MapKvDashboard(this IEndpointRouteBuilder endpoints, Action<KvDashboardOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(configure);
        var options = new KvDashboardOptions();
        configure(options);
        options.Validate();
        var dashboard = new DashboardEndpoint(new DashboardParts(CatalogOf(endpoints), options, endpoints.ServiceProvider));
        var group = endpoints.MapGroup(options.Prefix);
        if (options.IsAnonymous)
        {
            DashboardIsOpen(endpoints.ServiceProvider.GetRequiredService<ILogger<DashboardEndpoint>>());
            group.AllowAnonymous();
        }
        else
        {
            RequirePolicies(group, options, endpoints.ServiceProvider);
        }

        dashboard.Map(group);
        return group;
    }

    // A policy that is missing would let nobody in, but only say so when somebody comes.
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

    private static KvNamespaceCatalog CatalogOf(IEndpointRouteBuilder endpoints) =>
        endpoints.ServiceProvider.GetService<KvNamespaceCatalog>()
        ?? throw new InvalidOperationException("No catalog of namespaces is registered; call services.AddKvCatalog(directory) first.");

    [LoggerMessage(30, LogLevel.Warning, "The KV API is open to everybody who can connect: AllowAnonymous was called. Use tokens outside of development.")]
    private static partial void ApiIsOpen(ILogger logger);

    [LoggerMessage(31, LogLevel.Warning, "The endpoint of the Workers runtime is open to everybody who can connect: AllowAnonymous was called. Use a secret outside of development.")]
    private static partial void BindingIsOpen(ILogger logger);

    [LoggerMessage(33, LogLevel.Warning, "The endpoint of the Workers runtime has no secret: every program of this machine, and every proxy on it, comes in. Use a secret outside of development.")]
    private static partial void BindingHasNoSecret(ILogger logger);

    [LoggerMessage(32, LogLevel.Warning, "The KV dashboard is open to everybody who can connect: AllowAnonymous was called. Require a policy outside of development.")]
    private static partial void DashboardIsOpen(ILogger logger);
}
