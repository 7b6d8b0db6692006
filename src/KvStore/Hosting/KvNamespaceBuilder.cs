using KvStore.Rules;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore;

/// <summary>
/// Sets the options of a namespace that is being registered. They are defaults: the section <c>KvStore:{name}</c> of the
/// configuration overrides them, one setting at a time.
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

    /// <summary>Where it is registered.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Changes options: <c>kv.Configure(o =&gt; o with { TimeProvider = clock })</c>.</summary>
    /// <param name="change">Makes the new options of those so far. Called when the namespace is first needed.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Configure(Func<KvNamespaceOptions, KvNamespaceOptions> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        return Configure((_, options) => change(options));
    }

    /// <summary>Changes options with the help of other services.</summary>
    /// <param name="change">Makes the new options of those so far. Called when the namespace is first needed.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Configure(Func<IServiceProvider, KvNamespaceOptions, KvNamespaceOptions> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        _steps.Add(change);
        return this;
    }

    /// <summary>Changes limits: <c>kv.Limits(l =&gt; l with { ExpirationTtlMin = TimeSpan.FromSeconds(1) })</c>.</summary>
    /// <param name="change">Makes the new limits of those so far.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Limits(Func<KvLimits, KvLimits> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        return Configure(options => options with { Limits = change(options.Limits) });
    }

    /// <summary>
    /// Gives the namespace regions, each of which sees the others' writes late: <c>kv.Replicate(r =&gt; r.Regions("jnb",
    /// "lhr").Lag(KvLag.Fixed(TimeSpan.FromSeconds(5))))</c>.
    /// </summary>
    /// <param name="replicate">Says which, and how late.</param>
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

    /// <summary>Rehearses a service: takes over its limits, and how its regions see each other's writes.</summary>
    /// <param name="profile">The service.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Profile(KvProfile profile)
    {
        ArgumentNullException.ThrowIfNull(profile);
        return Configure(profile.Apply);
    }

    /// <summary>Refuses writes that come too soon after another (429); see <see cref="KvNamespaceOptions.EnforceWriteRate"/>.</summary>
    /// <param name="enforce">Whether it does.</param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder EnforceWriteRate(bool enforce = true) => Configure(options => options with { EnforceWriteRate = enforce });

    /// <summary>
    /// Keeps the namespace in a directory: <c>kv.PersistTo("data/cache")</c>. Everything acknowledged is there after a crash;
    /// <c>docs/durability.md</c> says what survives what.
    /// </summary>
    /// <param name="directory">
    /// The directory, which belongs to this namespace alone and is created when need be. A relative path starts at the content
    /// root of the host, or at the current directory where there is none. <c>KvStore:{name}:Persistence:Directory</c> in the
    /// configuration overrides it.
    /// </param>
    /// <param name="options">How it is kept; null for the defaults.</param>
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
    /// Reads options from a section of the configuration. The section <c>KvStore:{name}</c> is read in any case, after all that
    /// code says, except by <see cref="KvServiceCollectionExtensions.ReplaceKvNamespace"/>.
    /// </summary>
    /// <param name="section">
    /// A section with <c>Limits</c> in it, whose entries are named as those of <see cref="KvLimits"/>, <c>Persistence</c>,
    /// <c>Replication</c>, whose entries are named as those of <see cref="KvReplicationOptions"/>, <c>Profile</c> or
    /// <c>EnforceWriteRate</c>.
    /// </param>
    /// <returns>This builder.</returns>
    public KvNamespaceBuilder Bind(IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return Configure((services, options) => Hosting.KvConfiguration.Apply(services, section, options));
    }

    internal KvNamespaceOptions Build(IServiceProvider services, KvNamespaceOptions options)
    {
        foreach (var step in _steps)
        {
            options = step(services, options) ?? throw new InvalidOperationException($"Configuring the namespace {VisibleKey.Quote(Name)} returned null options.");
        }

        return options;
    }
}
