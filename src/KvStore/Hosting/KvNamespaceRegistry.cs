using KvStore.Configuration;
using KvStore.Rules;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace KvStore.Hosting;

/// <summary>The namespaces that are registered with one container.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class KvNamespaceRegistry
{
    private readonly OrderedDictionary<string, KvNamespaceRegistration> _registrations = new(StringComparer.Ordinal);
    private int _hasChecked;

    public KvNamespaceRegistry(IEnumerable<KvNamespaceRegistration> registrations)
    {
        foreach (var registration in registrations)
        {
            _registrations.Add(registration.Name, registration);
        }
    }

    /// <summary>The names, in the order of registration.</summary>
    public IReadOnlyCollection<string> Names => _registrations.Keys;

    /// <summary>The message of the exception for a name that is registered a second time.</summary>
    public static string IsTaken(string name) =>
        $"A KV namespace named {VisibleKey.Quote(name)} is registered already; each name can be registered once. To put another in its place, for example in a test, call ReplaceKvNamespace.";

    /// <summary>The message of the exception for a name that is not registered.</summary>
    public static string IsUnknown(string name, IEnumerable<string> names) =>
        $"No KV namespace named {VisibleKey.Quote(name)} is registered. Registered are: {string.Join(", ", names.Select(static other => VisibleKey.Quote(other)).DefaultIfEmpty("none"))}.";

    /// <summary>
    /// Opens a namespace as it was registered and configured; or takes over the one that the configuration of the container has open
    /// under that name.
    /// </summary>
    /// <exception cref="OptionsValidationException">An option is not valid; the message names the namespace and the option.</exception>
    /// <exception cref="KvPersistenceException">The persisted namespace cannot be opened.</exception>
    public async Task<NamespaceLease<KvNamespace>> OpenAsync(IServiceProvider services, string name, CancellationToken cancellationToken)
    {
        services.GetService<WranglerWarnings>()?.LogOnce();
        WarnOfUnusedSections(services);
        var registration = _registrations[name];
        var defaults = new KvNamespaceOptions
        {
            TimeProvider = services.GetService<TimeProvider>() ?? TimeProvider.System,
            LoggerFactory = services.GetService<ILoggerFactory>(),
        };
        var options = NamespaceSettings.Read(services, registration, defaults, Names);
        var adapters = services.GetRequiredService<KvAdapterRegistry>();

        // A replacement is another namespace, also where the configuration reads the one that it replaces.
        if (registration.ReadsConfiguration && ConfiguredNamespaces.In(services).FirstOrDefault(configured => configured.Name == name)?.TakeOver() is { } taken)
        {
            try
            {
                TakenOverOptions.Check(name, taken.Options, options, defaults, LoggerOf(services));
                adapters.CheckOptions(name, taken.Options, LoggerOf(services));
                return taken.Lease;
            }
            catch
            {
                await taken.Lease.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        return await OpenAsync(services, name, options, adapters, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<NamespaceLease<KvNamespace>> OpenAsync(
        IServiceProvider services, string name, KvNamespaceOptions options, KvAdapterRegistry adapters, CancellationToken cancellationToken)
    {
        adapters.CheckOptions(name, options, LoggerOf(services));
        var kv = await KvNamespace.OpenAsync(name, options, cancellationToken).ConfigureAwait(false);
        try
        {
            // The configuration reads the namespace of the container: a replacement in a test, or what it could not open itself.
            foreach (var provider in ConfiguredNamespaces.ProvidersIn(services).Where(provider => provider.Source is KvConfigurationSource source && source.Configured.Name == name))
            {
                await provider.FollowAsync(kv).ConfigureAwait(false);
            }
        }
        catch
        {
            await kv.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        return new NamespaceLease<KvNamespace>(kv, kv.DisposeAsync);
    }

    private void WarnOfUnusedSections(IServiceProvider services)
    {
        if (Interlocked.Exchange(ref _hasChecked, 1) == 0 && services.GetService<IConfiguration>() is { } configuration)
        {
            var logger = LoggerOf(services);
            var configured = ConfiguredNamespaces.In(services).Select(static configured => configured.Name);
            foreach (var path in ConfigurationSections.Unused(configuration, Names.Concat(configured)))
            {
                logger.SectionUnused(path, string.Join(", ", Names.Select(ConfigurationSections.PathOf)));
            }

            foreach (var (name, path) in ConfigurationSections.Misplaced(configuration, Names))
            {
                logger.SectionMisplaced(path, name, ConfigurationSections.PathOf(name));
            }
        }
    }

    private static ILogger LoggerOf(IServiceProvider services) =>
        services.GetService<ILoggerFactory>()?.CreateLogger("KvStore.Hosting") ?? NullLogger.Instance;
}
