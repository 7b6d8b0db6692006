using KvStore.Rules;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore;

/// <summary>
/// Sets the options of a namespace that is being registered. The section <c>KvStore:{name}</c> of the configuration overrides them,
/// one setting at a time.
/// </summary>
public sealed class KvNamespaceBuilder
{
    private readonly List<Func<IServiceProvider, KvNamespaceOptions, KvNamespaceOptions>> _steps = [];

    internal KvNamespaceBuilder(IServiceCollection services, string name)
    {
        Services = services;
        Name = name;
    }

    /// <summary>The name of the namespace.</summary>
    public string Name { get; }

    /// <summary>The services that the namespace is registered with.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Changes options: <c>kv.Configure(o =&gt; o with { TimeProvider = clock })</c>.</summary>
    /// <param name="change">Returns the new options for the options so far. Called when the namespace is opened.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Configure(Func<KvNamespaceOptions, KvNamespaceOptions> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        return Configure((_, options) => change(options));
    }

    /// <summary>Changes options with the help of other services.</summary>
    /// <param name="change">Returns the new options for the options so far. Called when the namespace is opened.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Configure(Func<IServiceProvider, KvNamespaceOptions, KvNamespaceOptions> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        _steps.Add(change);
        return this;
    }

    /// <summary>Changes limits: <c>kv.Limits(l =&gt; l with { ExpirationTtlMin = TimeSpan.FromSeconds(1) })</c>.</summary>
    /// <param name="change">Returns the new limits for the limits so far.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Limits(Func<KvLimits, KvLimits> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        return Configure(options => options with { Limits = change(options.Limits) });
    }

    /// <summary>
    /// Limits the memory of the namespace: <c>kv.LimitMemory(512L &lt;&lt; 20, KvMemoryPolicy.Evict)</c>. <c>docs/memory.md</c> says what
    /// counts.
    /// </summary>
    /// <param name="bytesMax">The bytes that entries and indexes may take, at least 1 MiB.</param>
    /// <param name="whenFull">What happens to a put that would exceed them.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The limit is less than 1 MiB, or the policy is none.</exception>
    public KvNamespaceBuilder LimitMemory(long bytesMax, KvMemoryPolicy whenFull = KvMemoryPolicy.Refuse)
    {
        var memory = new KvMemoryOptions { BytesMax = bytesMax, WhenFull = whenFull };
        memory.Validate();
        return Configure(options => options with { Memory = memory });
    }

    /// <summary>
    /// Adds regions, each of which receives the writes of the others late: <c>kv.Replicate(r =&gt; r.Regions("jnb",
    /// "lhr").Lag(KvLag.Fixed(TimeSpan.FromSeconds(5))))</c>.
    /// </summary>
    /// <param name="replicate">Sets the regions, the lag and the edge cache.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Replicate(Action<KvReplicationBuilder> replicate)
    {
        ArgumentNullException.ThrowIfNull(replicate);
        return Configure(options =>
        {
            var replication = new KvReplicationBuilder(options.Replication ?? new KvReplicationOptions());
            replicate(replication);
            return options with { Replication = replication.Options };
        });
    }

    /// <summary>Imitates a service: sets the limits, the lag and the edge cache of its profile.</summary>
    /// <param name="profile">The profile of the service.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Profile(KvProfile profile)
    {
        ArgumentNullException.ThrowIfNull(profile);
        return Configure(profile.Apply);
    }

    /// <summary>Refuses writes that come too soon after another write (429); see <see cref="KvNamespaceOptions.EnforceWriteRate"/>.</summary>
    /// <param name="enforce">Whether to refuse them.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder EnforceWriteRate(bool enforce = true) => Configure(options => options with { EnforceWriteRate = enforce });

    /// <summary>
    /// Persists the namespace in a directory: <c>kv.PersistTo("data/cache")</c>. Acknowledged writes survive a crash of the process;
    /// <c>docs/durability.md</c> has the details for each durability.
    /// </summary>
    /// <param name="directory">
    /// The directory, for this namespace alone. It is created when it does not exist. A relative path starts at the content root of
    /// the host; without a host, at the current directory. <c>KvStore:{name}:Persistence:Directory</c> in the configuration
    /// overrides it.
    /// </param>
    /// <param name="options">The options of the persistence; null for the defaults.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The directory is empty, or an option is out of its range; the message names it.</exception>
    public KvNamespaceBuilder PersistTo(string directory, FilePersistenceOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        options?.Validate();
        return Configure((services, o) =>
            o with { Persistence = new FilePersistence(Hosting.KvConfiguration.PathOf(services, directory), options) });
    }

    /// <summary>
    /// Reads options from a section of the configuration. The section <c>KvStore:{name}</c> is read without this call, after all
    /// options that code sets, except after <see cref="KvServiceCollectionExtensions.ReplaceKvNamespace"/>.
    /// </summary>
    /// <param name="section">
    /// A section with <c>Limits</c> (settings as in <see cref="KvLimits"/>), <c>Persistence</c>, <c>Replication</c> (settings as in
    /// <see cref="KvReplicationOptions"/>), <c>Memory</c> (settings as in <see cref="KvMemoryOptions"/>), <c>Profile</c>,
    /// <c>EnforceWriteRate</c>, or sections that packages have added before this call (<see cref="AddSection"/>).
    /// </param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Bind(IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return Configure((services, options) => Hosting.KvConfiguration.Apply(services, section, options, Sections));
    }

    /// <summary>
    /// Adds a section to the configuration of the namespace, beside <c>Limits</c> and the others, for a package that has an engine or a
    /// persistence of its own. <see cref="KvConfigurationReader"/> reads its settings.
    /// </summary>
    /// <param name="name">The name of the section. It takes the place of a section that was added under the same name.</param>
    /// <param name="read">
    /// Returns the options with the settings of the section. Called when the namespace is opened and the section exists, after the options that
    /// code sets. Throws <see cref="FormatException"/> for a setting that is not known or cannot be read, and
    /// <see cref="ArgumentException"/> with the name of the option for one that is out of its range. No message quotes a setting.
    /// </param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder AddSection(string name, Func<IServiceProvider, IConfigurationSection, KvNamespaceOptions, KvNamespaceOptions> read)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(read);
        Sections.Add(name, read);
        return this;
    }

    internal Hosting.AddedSections Sections { get; } = new();

    internal KvNamespaceOptions Build(IServiceProvider services, KvNamespaceOptions options)
    {
        foreach (var step in _steps)
        {
            options = step(services, options) ?? throw new InvalidOperationException($"Configuring the namespace {VisibleKey.Quote(Name)} returned null options.");
        }

        return options;
    }
}
