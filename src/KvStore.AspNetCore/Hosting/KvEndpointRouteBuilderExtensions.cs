using KvStore;
using KvStore.Binding;
using KvStore.Rest;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Maps endpoints for the namespaces of a catalog.</summary>
public static partial class KvEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps the Cloudflare v4 REST API for Workers KV, which wrangler and the SDKs use, below
    /// <c>/client/v4/accounts/{account}/storage/kv/namespaces</c>. Any account is accepted.
    /// </summary>
    /// <param name="endpoints">The routes of the application: not a group, because the API has a prefix of its own.</param>
    /// <param name="configure">Configures the authentication: at least one token, or anonymous access.</param>
    /// <returns>The endpoint.</returns>
    /// <exception cref="InvalidOperationException">No token is accepted and anonymous access is not allowed, or no catalog is registered.</exception>
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
    /// Maps the server to which the open-source Workers runtime (workerd) sends the operations of a KV binding. It takes every path,
    /// so it needs an address, and thus an application, of its own. The header <c>X-Namespace</c> names the namespace by its id or
    /// title. Serve HTTP/1.1: the message of an error is the reason phrase.
    /// </summary>
    /// <param name="endpoints">The routes of the application.</param>
    /// <param name="configure">Configures the authentication. Without it, only requests over loopback or a Unix socket for a name of the loopback are answered.</param>
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

    private static KvNamespaceCatalog CatalogOf(IEndpointRouteBuilder endpoints) =>
        endpoints.ServiceProvider.GetService<KvNamespaceCatalog>()
        ?? throw new InvalidOperationException("No catalog of namespaces is registered; call services.AddKvCatalog(directory) first.");

    [LoggerMessage(30, LogLevel.Warning, "The KV API answers every request without authentication, because AllowAnonymous was called. Use tokens outside of development.")]
    private static partial void ApiIsOpen(ILogger logger);

    [LoggerMessage(31, LogLevel.Warning, "The endpoint of the Workers runtime answers every request without authentication, because AllowAnonymous was called. Use a secret outside of development.")]
    private static partial void BindingIsOpen(ILogger logger);

    [LoggerMessage(33, LogLevel.Warning, "The endpoint of the Workers runtime has no secret: it answers every program and every proxy on this machine. Use a secret outside of development.")]
    private static partial void BindingHasNoSecret(ILogger logger);
}
