using KvStore;
using KvStore.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers KV namespaces with a service collection.</summary>
public static class KvServiceCollectionExtensions
{
    /// <summary>
    /// Registers a namespace: a keyed singleton <see cref="IKvNamespace"/> under its name, the first one also without a key,
    /// and all of them through <see cref="IKvNamespaceFactory"/>.
    /// </summary>
    /// <remarks>
    /// Limits are read from the configuration section <c>KvStore:{name}:Limits</c>, if there is one: numbers in bytes or
    /// keys, spans of time as <c>hh:mm:ss</c> (<c>"00:01:00"</c> is a minute; a bare <c>60</c> is refused). Where it persists is
    /// read from <c>KvStore:{name}:Persistence</c>: <c>Directory</c>, and the entries of <see cref="FilePersistenceOptions"/>.
    /// Which regions it has is read from <c>KvStore:{name}:Replication</c>, whose entries are those of
    /// <see cref="KvReplicationOptions"/>, and from <c>Profile</c> and <c>EnforceWriteRate</c> beside it.
    /// The clock and the logging are those of the container. The host opens the namespace before its first service starts, and
    /// flushes it when the last has stopped; without a host it is opened when it is first asked for. The container disposes it.
    /// </remarks>
    /// <param name="services">Where to register it.</param>
    /// <param name="name">Its name, for example <c>CACHE_KV</c>.</param>
    /// <param name="configure">How it shall behave; wins over the configuration.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">The name is empty, or registered already.</exception>
    public static IServiceCollection AddKvNamespace(
        this IServiceCollection services, string name, Action<KvNamespaceBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var registry = RegistryOf(services);
        var builder = new KvNamespaceBuilder(services, name);
        configure?.Invoke(builder);
        registry.Add(builder);

        services.TryAddSingleton(provider => new KvNamespaceOpener(provider, registry));
        services.AddKeyedSingleton<IKvNamespace>(name, (provider, _) => provider.GetRequiredService<KvNamespaceOpener>().Open(name));
        services.TryAddSingleton(provider => provider.GetRequiredKeyedService<IKvNamespace>(name));
        services.TryAddSingleton<IKvNamespaceFactory>(provider => new KvNamespaceFactory(provider, registry));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, KvNamespaceLifetime>());
        return services;
    }

    /// <summary>
    /// Registers every namespace that a Wrangler configuration binds: for each entry of <c>kv_namespaces</c> one under the
    /// name of its <c>binding</c>.
    /// </summary>
    /// <param name="services">Where to register them.</param>
    /// <param name="path">
    /// A <c>wrangler.json</c> or <c>wrangler.jsonc</c>: JSON in which comments and trailing commas are allowed. A relative
    /// path starts at the content root of the host that is being built, or else at the current directory.
    /// </param>
    /// <param name="configure">How each shall behave; called once for each, with its name in the builder.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is not JSON, or an entry has no <c>binding</c> or one that is taken; the message says at which line and column.
    /// </exception>
    public static IServiceCollection AddKvNamespacesFromWrangler(
        this IServiceCollection services, string path, Action<KvNamespaceBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        path = FromContentRoot(services, path);
        var bindings = WranglerFile.Read(path);

        // All of them before any is registered: a file that is wrong changes nothing.
        var taken = new HashSet<string>(FindRegistry(services)?.Names ?? [], StringComparer.Ordinal);
        foreach (var binding in bindings)
        {
            if (!taken.Add(binding.Name))
            {
                throw new InvalidDataException(Invariant($"{path}({binding.Line},{binding.Column}): {KvNamespaceRegistry.IsTaken(binding.Name)}"));
            }
        }

        foreach (var binding in bindings)
        {
            services.AddKvNamespace(binding.Name, configure);
        }

        return services;
    }

    private static string FromContentRoot(IServiceCollection services, string path)
    {
        var environment = services.LastOrDefault(service => service.ServiceType == typeof(IHostEnvironment) && !service.IsKeyedService);
        return environment?.ImplementationInstance is IHostEnvironment { ContentRootPath: { Length: > 0 } root } ? Path.Combine(root, path) : path;
    }

    private static KvNamespaceRegistry RegistryOf(IServiceCollection services)
    {
        var registry = FindRegistry(services);
        if (registry is null)
        {
            registry = new KvNamespaceRegistry();
            services.AddSingleton(registry);
        }

        return registry;
    }

    private static KvNamespaceRegistry? FindRegistry(IServiceCollection services) =>
        (KvNamespaceRegistry?)services.FirstOrDefault(service => service.ServiceType == typeof(KvNamespaceRegistry))?.ImplementationInstance;
}
