using System.Text;
using KvStore;
using KvStore.Adapters;
using KvStore.Tickets;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the store that keeps the tickets of cookie authentication in a KV namespace.</summary>
public static class KvTicketStoreServiceCollectionExtensions
{
    /// <summary>
    /// Keeps the tickets of cookie authentication in a namespace. The cookie carries a random key only, sign-ins survive a restart when the
    /// namespace persists and the keys of Data Protection do too, and <see cref="KvTicketStore.RemoveAllAsync"/> signs a user out everywhere.
    /// </summary>
    /// <remarks>
    /// <para>The store becomes <see cref="CookieAuthenticationOptions.SessionStore"/> of every scheme, or of
    /// <see cref="KvTicketStoreOptions.Scheme"/>, where the application has set no other. The order of the calls does not matter.</para>
    /// <para>The host does not start when the namespace or the scheme is not registered.</para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The name of the namespace, for example <c>SESSIONS_KV</c>. It may be registered before or afterwards.</param>
    /// <param name="configure">Sets the options.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">The name is empty, an option is wrong, or the method was called before.</exception>
    public static IServiceCollection AddKvTicketStore(this IServiceCollection services, string name, Action<KvTicketStoreOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var options = new KvTicketStoreOptions();
        configure?.Invoke(options);
        options.Validate();
        var adapter = new KvAdapter
        {
            Name = "tickets",
            Namespace = name,
            Prefix = options.Prefix,
            RegisteredBy = nameof(AddKvTicketStore),
            LostByEviction = "a user is signed out before the ticket expires",
            ExpirationTtlMin = ExactDeadline.TtlMin,
            KeyBytesMax = Encoding.UTF8.GetByteCount(options.Prefix) + TicketKey.BytesMax,
        };
        services.AddKvAdapter(adapter);
        services.AddDataProtection();
        services.AddSingleton(provider => new KvTicketStore(provider, options, adapter));
        services.AddSingleton<IPostConfigureOptions<CookieAuthenticationOptions>>(provider => new SessionStoreSetup(provider, options));
        services.AddSingleton<IHostedService>(provider => new SchemeCheck(options, adapter, provider.GetService<IAuthenticationSchemeProvider>()));
        return services;
    }
}
