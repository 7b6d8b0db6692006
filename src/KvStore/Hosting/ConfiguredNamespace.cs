using KvStore.Configuration;
using KvStore.Rules;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>
/// A namespace that a configuration reads, and that a container takes over when it registers the same name. It is closed when neither has
/// it any more.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ConfiguredNamespace
{
    private readonly Lock _lock = new();
    private readonly Action<KvNamespaceBuilder>? _configure;
    private readonly IKvExtendedNamespace? _given;
    private KvNamespace? _opened;
    private KvNamespaceOptions? _options;

    /// <summary>A namespace that is opened when the configuration needs it.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="configure">Sets its options.</param>
    public ConfiguredNamespace(string name, Action<KvNamespaceBuilder>? configure)
    {
        Name = name;
        _configure = configure;
    }

    /// <summary>A namespace that the application has opened, and disposes.</summary>
    /// <param name="kv">The namespace.</param>
    public ConfiguredNamespace(IKvExtendedNamespace kv)
    {
        Name = kv.Name;
        _given = kv;
        CheckEviction((kv as KvNamespace)?.Memory);
    }

    /// <summary>The name.</summary>
    public string Name { get; }

    /// <summary>The log until the application has one, and then that.</summary>
    public RelayLoggerFactory Log { get; } = new();

    /// <summary>Whether a namespace of the same name is another one.</summary>
    public bool IsOther(IKvExtendedNamespace kv) => !ReferenceEquals(_given, kv);

    /// <summary>Opens the namespace, or joins those that have it open.</summary>
    /// <param name="builder">The builder of the configuration.</param>
    /// <param name="configuration">What it has built so far, in case that the namespace must be opened.</param>
    /// <returns>A lease; the namespace that the application opened itself is not held by it.</returns>
    public NamespaceLease<IKvExtendedNamespace> Open(IConfigurationBuilder builder, Func<IConfiguration> configuration)
    {
        if (_given is not null)
        {
            return new NamespaceLease<IKvExtendedNamespace>(_given, release: null);
        }

        lock (_lock)
        {
            if (_opened is null || !_opened.Owners.TryHold())
            {
                _options = OptionsOf(ConfigurationHost.Of(builder, configuration()));

                // A provider of configuration is loaded synchronously. This waits for a thread of its own, which does not need the thread of
                // the caller.
                _opened = KvNamespace.OpenAsync(Name, _options).AsTask().GetAwaiter().GetResult();
                _ = _opened.Owners.TryHold(closesWhenReleased: true);
            }

            return new NamespaceLease<IKvExtendedNamespace>(_opened, _opened.Owners.ReleaseAsync);
        }
    }

    /// <summary>Takes the namespace over into a container.</summary>
    /// <returns>A lease, and the options that the namespace was opened with; null when it is not open, or is not of this process.</returns>
    public (NamespaceLease<KvNamespace> Lease, KvNamespaceOptions Options)? TakeOver()
    {
        lock (_lock)
        {
            var kv = _given as KvNamespace ?? _opened;
            return kv is not null && kv.Owners.TryHold()
                ? (new NamespaceLease<KvNamespace>(kv, kv.Owners.ReleaseAsync), _options ?? OptionsOf(kv))
                : null;
        }
    }

    private static KvNamespaceOptions OptionsOf(KvNamespace given) =>
        new() { TimeProvider = given.TimeProvider, Limits = given.Limits, Memory = given.Memory };

    private KvNamespaceOptions OptionsOf(ConfigurationHost services)
    {
        var builder = new KvNamespaceBuilder(new ServiceCollection(), Name);
        _configure?.Invoke(builder);
        var options = NamespaceSettings.Read(
            services, new KvNamespaceRegistration(builder, ReadsConfiguration: true), new KvNamespaceOptions { LoggerFactory = Log }, [Name]);
        CheckEviction(options.Memory);
        return options;
    }

    private void CheckEviction(KvMemoryOptions? memory)
    {
        if (memory?.WhenFull == KvMemoryPolicy.Evict)
        {
            throw new InvalidOperationException(
                $"The KV namespace {VisibleKey.Quote(Name)} evicts entries when its memory is full, and configuration must not be lost. Use a namespace without {nameof(KvMemoryPolicy)}.{nameof(KvMemoryPolicy.Evict)}.");
        }
    }
}
