using KvStore;
using KvStore.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers KV namespaces with a service collection.</summary>
public static class KvServiceCollectionExtensions
{
    /// <summary>
    /// Registers a namespace as a keyed singleton under its name, as <see cref="IKvNamespace"/> and as <see cref="KvNamespace"/>. An
    /// <see cref="IKvNamespaceFactory"/> finds all registered namespaces.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Without a key, <see cref="IKvNamespace"/> and <see cref="KvNamespace"/> are the namespace that was registered <b>first</b>.
    /// Resolve without a key in an application with a single namespace. When several are registered, it logs a warning with the name
    /// of the namespace that is returned.
    /// </para>
    /// <para>
    /// The configuration section <c>KvStore:{name}</c> overrides the options of code, one setting at a time:
    /// <c>Persistence</c> (<c>Enabled</c>, <c>Directory</c> and the options of <see cref="FilePersistenceOptions"/>),
    /// <c>Limits</c> (<see cref="KvLimits"/>), <c>Replication</c> (<c>Enabled</c> and <see cref="KvReplicationOptions"/>),
    /// <c>Profile</c> and <c>EnforceWriteRate</c>. Numbers are bytes or keys, spans of time are <c>hh:mm:ss</c>
    /// (<c>"00:01:00"</c> is a minute; a bare <c>60</c> is refused). A colon in a name is written <c>%3A</c> in the section's
    /// name, and a percent sign <c>%25</c>. A section for a namespace that is not registered is logged as a warning.
    /// </para>
    /// <para>
    /// The namespace uses the clock and the logging of the container. The host opens the namespace before its first service starts,
    /// and flushes it after the last service has stopped. Without a host the namespace is opened when it is first resolved. The
    /// container disposes it.
    /// </para>
    /// <para>
    /// Where the configuration of the application reads a namespace of that name (<c>configuration.AddKvNamespace</c>), this is that
    /// namespace, which is open already.
    /// </para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The name of the namespace, for example <c>CACHE_KV</c>.</param>
    /// <param name="configure">Sets the options of the namespace.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">
    /// The name is empty, or registered already; <see cref="ReplaceKvNamespace"/> puts another namespace in its place.
    /// </exception>
    public static IServiceCollection AddKvNamespace(
        this IServiceCollection services, string name, Action<KvNamespaceBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        if (NamesIn(services).Contains(name))
        {
            throw new ArgumentException(KvNamespaceRegistry.IsTaken(name));
        }

        services.AddSingleton(Registration(services, name, configure, readsConfiguration: true));
        AddFactory(services);
        services.AddKeyedSingleton(name, (provider, _) => provider.GetRequiredService<KvNamespaceOpener>().Open(name));
        services.AddKeyedSingleton<IKvNamespace>(name, (provider, _) => provider.GetRequiredKeyedService<KvNamespace>(name));
        services.AddKeyedSingleton<IKvExtendedNamespace>(name, (provider, _) => provider.GetRequiredKeyedService<KvNamespace>(name));
        services.TryAddSingleton(WithoutKey<KvNamespace>);
        services.TryAddSingleton(WithoutKey<IKvNamespace>);
        services.TryAddSingleton(WithoutKey<IKvExtendedNamespace>);
        return services;
    }

    /// <summary>
    /// Registers an adapter, for packages that keep the data of a framework in a namespace. The host does not start when the namespace
    /// of the adapter is not registered, does not fit it, or has another adapter whose keys begin in the same way.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="adapter">The adapter. Its namespace may be registered before or afterwards.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">An adapter of that name is registered already.</exception>
    public static IServiceCollection AddKvAdapter(this IServiceCollection services, KvAdapter adapter)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(adapter);
        var others = services.Where(static service => !service.IsKeyedService).Select(static service => service.ImplementationInstance).OfType<KvAdapter>();
        if (others.FirstOrDefault(other => other.Name == adapter.Name) is { } earlier)
        {
            throw new ArgumentException(
                $"{adapter.RegisteredBy}(\"{adapter.Namespace}\"): {earlier.RegisteredBy}(\"{earlier.Namespace}\") was called before. An application has one adapter of this kind; remove one of the calls.");
        }

        services.AddSingleton(adapter);
        AddFactory(services);
        return services;
    }

    /// <summary>
    /// Replaces a registered namespace, for tests. The directory of the replaced registration is not opened, and its section of the
    /// configuration is not read. Without <paramref name="configure"/> the new namespace is in memory only.
    /// </summary>
    /// <remarks>
    /// The section <c>KvStore:{name}</c> of the configuration is not read for the new namespace. To read it, call
    /// <c>kv.Bind(configuration.GetSection("KvStore:CACHE_KV"))</c>. In a <c>WebApplicationFactory</c>, call this in
    /// <c>ConfigureTestServices</c>, which runs after the application has registered its services.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The name of the namespace.</param>
    /// <param name="configure">Sets the options of the new namespace.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">No namespace of that name is registered; the message lists the registered names.</exception>
    public static IServiceCollection ReplaceKvNamespace(
        this IServiceCollection services, string name, Action<KvNamespaceBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        for (var i = 0; i < services.Count; i++)
        {
            if (RegistrationOf(services[i])?.Name == name)
            {
                services[i] = ServiceDescriptor.Singleton(Registration(services, name, configure, readsConfiguration: false));
                return services;
            }
        }

        throw new ArgumentException(
            $"{KvNamespaceRegistry.IsUnknown(name, NamesIn(services))} {nameof(ReplaceKvNamespace)} must be called after the namespace was registered.",
            nameof(name));
    }

    /// <summary>Replaces every registered namespace, as <see cref="ReplaceKvNamespace"/> replaces one.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets the options of each new namespace; called once for each, with its name in the builder.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="InvalidOperationException">No namespace is registered. Call this after the namespaces are registered.</exception>
    public static IServiceCollection ReplaceKvNamespaces(
        this IServiceCollection services, Action<KvNamespaceBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        var names = NamesIn(services);
        if (names.Count == 0)
        {
            throw new InvalidOperationException(
                $"No KV namespace is registered. {nameof(ReplaceKvNamespaces)} must be called after the namespaces were registered.");
        }

        foreach (var name in names)
        {
            services.ReplaceKvNamespace(name, configure);
        }

        return services;
    }

    /// <summary>
    /// Registers every namespace that a Wrangler file binds: each entry of <c>kv_namespaces</c>, under the name of its
    /// <c>binding</c>.
    /// </summary>
    /// <remarks>
    /// Bindings are resolved as wrangler resolves them. An environment binds what it lists itself and inherits nothing of the top
    /// level; what the top level binds and the environment does not is a warning in the log when the host starts. An environment
    /// without <c>kv_namespaces</c>, where the top level has some, is an error; an empty list says that none are wanted. An environment
    /// that the file does not have is an error where the file has others, and stands for the top level where it has none.
    /// Of a property that is given twice the last value counts. Files are UTF-8, with or without a byte order mark.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="path">
    /// A <c>wrangler.toml</c>, or a <c>wrangler.json</c> or <c>wrangler.jsonc</c>: JSON in which comments and trailing commas are
    /// allowed. A file whose name does not end in <c>.toml</c> is read as JSON. A relative path starts at the content root of the
    /// host that is being built; without a host, at the current directory.
    /// </param>
    /// <param name="configure">Sets the options of each namespace; called once for each, with its name in the builder.</param>
    /// <param name="environment">
    /// The environment, for example <c>production</c> for <c>env.production</c>. Null means the environment in the variable
    /// <c>CLOUDFLARE_ENV</c>, or the top level when the variable is not set. Empty means the top level.
    /// </param>
    /// <returns>The same services.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">
    /// The file cannot be read; an entry has no <c>binding</c> or one that is taken; the file has environments but not this one;
    /// no environment is chosen, and only environments bind something; or the environment has no <c>kv_namespaces</c>, and the top
    /// level has. The message says at which line and column. Nothing
    /// has been registered.
    /// </exception>
    public static IServiceCollection AddKvNamespacesFromWrangler(
        this IServiceCollection services, string path, Action<KvNamespaceBuilder>? configure = null, string? environment = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        path = FromContentRoot(services, path);
        return Register(services, path, WranglerFile.Read(path, WranglerFile.EnvironmentOf(environment)), configure);
    }

    /// <summary>Registers the bindings of a file.</summary>
    /// <param name="services">The services.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="file">The bindings.</param>
    /// <param name="configure">Sets the options of each new namespace.</param>
    /// <param name="isCompiled">Whether the bindings were compiled in, so that no position in the file is known.</param>
    internal static IServiceCollection Register(
        IServiceCollection services, string path, WranglerBindings file, Action<KvNamespaceBuilder>? configure, bool isCompiled = false)
    {
        // Check all bindings before one is registered, so that an invalid file changes nothing.
        var taken = new HashSet<string>(NamesIn(services), StringComparer.Ordinal);
        foreach (var binding in file.Bindings)
        {
            if (!taken.Add(binding.Name))
            {
                throw WranglerFile.Error(path, isCompiled ? null : binding.Position, KvNamespaceRegistry.IsTaken(binding.Name));
            }
        }

        // A file that binds nothing has a factory too, which says so.
        AddFactory(services);
        foreach (var binding in file.Bindings)
        {
            services.AddKvNamespace(binding.Name, configure);
        }

        foreach (var warning in file.Warnings)
        {
            services.AddSingleton(new WranglerWarning(warning));
            services.TryAddSingleton<WranglerWarnings>();
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, WranglerWarnings>(static provider => provider.GetRequiredService<WranglerWarnings>()));
        }

        return services;
    }

    /// <summary>A full path from the content root of the host that is being built; without a host, from the current directory.</summary>
    internal static string FromContentRoot(IServiceCollection services, string path) =>
        ContentRootOf(services) is { } root ? Path.Combine(root, path) : path;

    /// <summary>The content root of the host that is being built; null without a host.</summary>
    internal static string? ContentRootOf(IServiceCollection services)
    {
        var environment = services.LastOrDefault(service => service.ServiceType == typeof(IHostEnvironment) && !service.IsKeyedService);
        return environment?.ImplementationInstance is IHostEnvironment { ContentRootPath: { Length: > 0 } root } ? root : null;
    }

    private static void AddFactory(IServiceCollection services)
    {
        services.TryAddSingleton(provider => new KvNamespaceRegistry(provider.GetServices<KvNamespaceRegistration>()));
        services.TryAddSingleton<IKvNamespaceFactory>(
            provider => new KvNamespaceFactory(provider, provider.GetRequiredService<KvNamespaceRegistry>()));
        services.TryAddSingleton(AdaptersOf);
        services.TryAddSingleton(provider => new KvNamespaceOpener(provider, provider.GetRequiredService<KvNamespaceRegistry>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, KvNamespaceLifetime>());
    }

    // The configuration may read a namespace that is not registered with the container; nothing else uses its keys then.
    private static KvAdapterRegistry AdaptersOf(IServiceProvider provider)
    {
        var names = provider.GetRequiredService<KvNamespaceRegistry>().Names;
        var configuration = ConfiguredNamespaces.AdaptersIn(provider).Where(adapter => names.Contains(adapter.Namespace, StringComparer.Ordinal));
        return new KvAdapterRegistry(configuration.Concat(provider.GetServices<KvAdapter>()));
    }

    private static KvNamespaceRegistration Registration(
        IServiceCollection services, string name, Action<KvNamespaceBuilder>? configure, bool readsConfiguration)
    {
        var builder = new KvNamespaceBuilder(services, name);
        configure?.Invoke(builder);
        return new KvNamespaceRegistration(builder, readsConfiguration);
    }

    // The container creates a singleton once, so the warning is logged once for each of the types.
    private static T WithoutKey<T>(IServiceProvider provider)
        where T : class
    {
        var names = provider.GetRequiredService<KvNamespaceRegistry>().Names;
        var first = names.First();
        if (names.Count > 1)
        {
            provider.GetService<ILoggerFactory>()?.CreateLogger("KvStore.Hosting").ResolvedWithoutKey(names.Count, first);
        }

        return provider.GetRequiredKeyedService<T>(first);
    }

    private static List<string> NamesIn(IServiceCollection services) =>
        [.. services.Select(RegistrationOf).OfType<KvNamespaceRegistration>().Select(registration => registration.Name)];

    private static KvNamespaceRegistration? RegistrationOf(ServiceDescriptor service) =>
        service.IsKeyedService ? null : service.ImplementationInstance as KvNamespaceRegistration;
}
