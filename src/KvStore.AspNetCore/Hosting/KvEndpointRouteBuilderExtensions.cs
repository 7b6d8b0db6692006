using KvStore;
using KvStore.Binding;
using KvStore.Rest;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

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
    /// <param name="configure">Who may come in; without it, whoever connects over loopback or a Unix socket.</param>
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

        var endpoint = new BindingEndpoint(CatalogOf(endpoints), options, logger);
        return endpoints.Map("/{**key}", endpoint.HandleAsync);
    }

    private static KvNamespaceCatalog CatalogOf(IEndpointRouteBuilder endpoints) =>
        endpoints.ServiceProvider.GetService<KvNamespaceCatalog>()
        ?? throw new InvalidOperationException("No catalog of namespaces is registered; call services.AddKvCatalog(directory) first.");

    [LoggerMessage(30, LogLevel.Warning, "The KV API is open to everybody who can connect: AllowAnonymous was called. Use tokens outside of development.")]
    private static partial void ApiIsOpen(ILogger logger);

    [LoggerMessage(31, LogLevel.Warning, "The endpoint of the Workers runtime is open to everybody who can connect: AllowAnonymous was called. Use a secret outside of development.")]
    private static partial void BindingIsOpen(ILogger logger);
}
