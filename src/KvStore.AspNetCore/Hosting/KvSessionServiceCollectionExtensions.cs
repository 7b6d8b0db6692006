using System.Diagnostics.CodeAnalysis;
using KvStore;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers ASP.NET sessions in KV namespaces.</summary>
public static class KvSessionServiceCollectionExtensions
{
    /// <summary>Registers the sessions of ASP.NET, and keeps them in a namespace, so that they survive a restart of the application.</summary>
    /// <remarks>
    /// <para>It calls <see cref="SessionServiceCollectionExtensions.AddSession(IServiceCollection)"/>, and the application still calls
    /// <c>app.UseSession()</c>. To set the cookie or the idle timeout, call <c>services.AddSession(o => ...)</c> or
    /// <c>services.Configure&lt;SessionOptions&gt;</c>, before or afterwards.</para>
    /// <para>The namespace is registered with <c>services.AddKvNamespace</c>, before or afterwards. The sessions do not use the application's
    /// <c>IDistributedCache</c>, which may be in another namespace, or somewhere else.</para>
    /// <para>Visitors keep their sessions over a restart when the keys of Data Protection survive it as well, because they protect the
    /// cookie. When the store fails, sessions are empty, and the failure is logged.</para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The name of the namespace, for example <c>SESSIONS_KV</c>.</param>
    /// <param name="configure">Sets where sessions are kept in the namespace.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">The name is empty, or sessions are registered in a namespace already.</exception>
    [RequiresUnreferencedCode("The session middleware of ASP.NET Core does not support trimming or native AOT.")]
    public static IServiceCollection AddKvSessions(this IServiceCollection services, string name, Action<KvSessionOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var options = new KvSessionOptions();
        configure?.Invoke(options);
        var adapter = new KvAdapter
        {
            Name = "sessions",
            Namespace = name,
            Prefix = options.Prefix,
            RegisteredBy = nameof(AddKvSessions),
            LostByEviction = "a visitor loses the session before it is idle for long enough",
            MetadataBytesMax = KvDistributedCache.MetadataBytesMax,
        };
        services.AddKvAdapter(adapter);

        // A service of its own, so that the container disposes the cache, which then saves when sessions were last used.
        var instance = new object();
        services.AddKeyedSingleton(instance, (provider, _) => new KvDistributedCache(
            adapter.GetNamespace<KvNamespace>(provider), adapter, provider.GetService<ILoggerFactory>()));
        services.AddSession();
        services.Replace(ServiceDescriptor.Singleton<ISessionStore>(provider => new DistributedSessionStore(
            provider.GetRequiredKeyedService<KvDistributedCache>(instance), provider.GetRequiredService<ILoggerFactory>())));
        return services;
    }
}
