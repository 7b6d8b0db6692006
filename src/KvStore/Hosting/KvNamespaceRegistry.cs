using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Hosting;

/// <summary>The namespaces registered with one service collection.</summary>
/// <remarks>Filled while services are registered, by one thread; read afterwards, by any.</remarks>
internal sealed class KvNamespaceRegistry
{
    private readonly OrderedDictionary<string, KvNamespaceBuilder> _builders = new(StringComparer.Ordinal);

    /// <summary>The names, in the order of registration.</summary>
    public IReadOnlyCollection<string> Names => _builders.Keys;

    /// <summary>Adds a namespace.</summary>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public void Add(KvNamespaceBuilder builder)
    {
        if (!_builders.TryAdd(builder.Name, builder))
        {
            throw new ArgumentException(IsTaken(builder.Name));
        }
    }

    /// <summary>Says that a name cannot be registered again.</summary>
    public static string IsTaken(string name) => $"A KV namespace named \"{name}\" is registered already; each name can be registered once.";

    /// <summary>Opens a namespace as it was registered.</summary>
    /// <exception cref="OptionsValidationException">An option is wrong; the message names the namespace and the option.</exception>
    /// <exception cref="KvPersistenceException">What it keeps cannot be opened.</exception>
    public async Task<KvNamespace> OpenAsync(IServiceProvider services, string name, CancellationToken cancellationToken)
    {
        var options = new KvNamespaceOptions
        {
            TimeProvider = services.GetService<TimeProvider>() ?? TimeProvider.System,
            LoggerFactory = services.GetService<ILoggerFactory>(),
        };

        try
        {
            if (services.GetService<IConfiguration>() is { } configuration)
            {
                var section = configuration.GetSection("KvStore");
                KvConfiguration.CheckHasEntries(section);
                options = KvConfiguration.Apply(services, section.GetSection(name), options);
            }

            options = _builders[name].Build(services, options);
            return await KvNamespace.OpenAsync(name, options, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            throw new OptionsValidationException(name, typeof(KvNamespaceOptions), [$"KV namespace \"{name}\": {e.Message}"]);
        }
    }
}
