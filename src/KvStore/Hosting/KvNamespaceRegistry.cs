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

    /// <summary>Opens a namespace as it was registered and configured.</summary>
    /// <exception cref="OptionsValidationException">An option is not valid; the message names the namespace and the option.</exception>
    /// <exception cref="KvPersistenceException">The persisted namespace cannot be opened.</exception>
    public async Task<KvNamespace> OpenAsync(IServiceProvider services, string name, CancellationToken cancellationToken)
    {
        services.GetService<WranglerWarnings>()?.LogOnce();
        WarnOfUnusedSections(services);
        var options = OptionsOf(services, _registrations[name]);
        services.GetRequiredService<KvAdapterRegistry>().CheckOptions(name, options);
        return await KvNamespace.OpenAsync(name, options, cancellationToken).ConfigureAwait(false);
    }

    private KvNamespaceOptions OptionsOf(IServiceProvider services, KvNamespaceRegistration registration)
    {
        var options = new KvNamespaceOptions
        {
            TimeProvider = services.GetService<TimeProvider>() ?? TimeProvider.System,
            LoggerFactory = services.GetService<ILoggerFactory>(),
        };
        IConfigurationSection? section = null;
        try
        {
            options = registration.Builder.Build(services, options);
            if (registration.ReadsConfiguration && services.GetService<IConfiguration>() is { } configuration)
            {
                section = ConfigurationSections.Of(configuration, registration.Name, Names);
                options = KvConfiguration.Apply(services, section, options);
            }

            options.Validate();
            return options;
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // Without an inner exception: an exception of other code may quote a setting, and a setting may be a secret.
            throw new OptionsValidationException(
                registration.Name, typeof(KvNamespaceOptions), [$"KV namespace {VisibleKey.Quote(registration.Name)}: {ConfigurationSections.MessageOf(e, section)}{HintFor(services, registration, e)}"]);
        }
    }

    // What is no option of this namespace may be the section of another one, whose name has a colon.
    private string HintFor(IServiceProvider services, KvNamespaceRegistration registration, Exception exception) =>
        exception is FormatException && services.GetService<IConfiguration>() is { } configuration
            ? string.Concat(ConfigurationSections.Misplaced(configuration, Names, registration.Name)
                .Select(static other => $" The section of the namespace {VisibleKey.Quote(other.Name)} is {ConfigurationSections.PathOf(other.Name)}, with %3A for the colon."))
            : "";

    private void WarnOfUnusedSections(IServiceProvider services)
    {
        if (Interlocked.Exchange(ref _hasChecked, 1) == 0 && services.GetService<IConfiguration>() is { } configuration)
        {
            var logger = services.GetService<ILoggerFactory>()?.CreateLogger("KvStore.Hosting") ?? NullLogger.Instance;
            foreach (var path in ConfigurationSections.Unused(configuration, Names))
            {
                logger.SectionUnused(path, string.Join(", ", Names.Select(ConfigurationSections.PathOf)));
            }

            foreach (var (name, path) in ConfigurationSections.Misplaced(configuration, Names))
            {
                logger.SectionMisplaced(path, name, ConfigurationSections.PathOf(name));
            }
        }
    }
}
