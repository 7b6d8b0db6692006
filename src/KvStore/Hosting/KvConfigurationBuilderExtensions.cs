using KvStore;
using KvStore.Hosting;
using KvStore.Rules;

namespace Microsoft.Extensions.Configuration;

/// <summary>Adds KV namespaces to a configuration.</summary>
public static class KvConfigurationBuilderExtensions
{
    /// <summary>
    /// Reads configuration from a namespace, which is opened now, and reloads it when an entry changes, expires or is deleted.
    /// </summary>
    /// <remarks>
    /// <para>The key <c>Shop:Title</c> of the namespace is the key <c>Shop:Title</c> of the configuration, after the prefix. A value that
    /// begins with <c>{</c> or <c>[</c> is JSON, whose properties become keys; every other value is text. A value that cannot be read
    /// leaves the values that its key had before, and is logged. Where two entries set one key (keys of the configuration are not
    /// case-sensitive), the later one in ordinal order counts, and a warning is logged.</para>
    /// <para>The section <c>KvStore:{name}</c> of the sources before this one overrides the options of code, as it does for
    /// <c>services.AddKvNamespace</c>. Relative directories start at the content root of the host.</para>
    /// <para>One process may open a directory once. So <c>services.AddKvNamespace</c> of the same name, in an application with this
    /// configuration, takes the open namespace; options need not be set there again. What was logged until then is written to the log
    /// of the application. The namespace is closed when the container and the configuration are disposed; a host disposes both.
    /// When <c>ReplaceKvNamespace</c> has put another in its place, the configuration reads that one as soon as it is open.</para>
    /// <para>A second call with the same name, for another prefix, reads the same open namespace.</para>
    /// </remarks>
    /// <param name="builder">The configuration.</param>
    /// <param name="name">The name of the namespace, for example <c>CONFIG_KV</c>.</param>
    /// <param name="configure">
    /// Sets the options of the namespace: <c>kv =&gt; kv.PersistTo("data/config")</c>. There is no container yet, so that steps that ask
    /// for services find only the <see cref="IConfiguration"/> so far and the content root.
    /// </param>
    /// <param name="read">Sets which keys are read, and how.</param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentException">
    /// The name is empty; an option is not valid; or options are set in a second call for the same name.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The namespace cannot be opened, or evicts entries. Thrown here by a <see cref="ConfigurationManager"/>, which builds at once, and by
    /// <see cref="IConfigurationBuilder.Build"/> of other builders.
    /// </exception>
    public static IConfigurationBuilder AddKvNamespace(
        this IConfigurationBuilder builder, string name, Action<KvNamespaceBuilder>? configure = null, Action<KvConfigurationOptions>? read = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var options = OptionsOf(read);
        var earlier = ConfiguredNamespaces.Find(builder, name);
        return earlier is not null && configure is not null
            ? throw new ArgumentException(
                $"The configuration reads the KV namespace {VisibleKey.Quote(name)} already. Set its options in the first call of {nameof(AddKvNamespace)}, and none in the others.",
                nameof(configure))
            : builder.Add(new KvConfigurationSource(earlier ?? new ConfiguredNamespace(name, configure), options));
    }

    /// <summary>Reads configuration from a namespace that is open, and reloads it when an entry changes, expires or is deleted.</summary>
    /// <remarks>
    /// <para>As with the other overload. The caller disposes the namespace; the configuration then keeps the values that it has.</para>
    /// <para><c>services.AddKvNamespace</c> of the same name takes a <see cref="KvNamespace"/> over, in an application with this
    /// configuration. Then the container disposes it, as every namespace that is registered.</para>
    /// </remarks>
    /// <param name="builder">The configuration.</param>
    /// <param name="kv">The namespace.</param>
    /// <param name="read">Sets which keys are read, and how.</param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentException">An option is not valid, or another namespace of the same name is read already.</exception>
    /// <exception cref="InvalidOperationException">The namespace evicts entries.</exception>
    /// <exception cref="ObjectDisposedException">The namespace is disposed.</exception>
    public static IConfigurationBuilder AddKvNamespace(
        this IConfigurationBuilder builder, IKvExtendedNamespace kv, Action<KvConfigurationOptions>? read = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(kv);
        var options = OptionsOf(read);
        var configured = ConfiguredNamespaces.Find(builder, kv.Name) ?? new ConfiguredNamespace(kv);
        return configured.IsOther(kv)
            ? throw new ArgumentException($"The configuration reads another KV namespace named {VisibleKey.Quote(kv.Name)} already.", nameof(kv))
            : builder.Add(new KvConfigurationSource(configured, options));
    }

    private static KvConfigurationOptions OptionsOf(Action<KvConfigurationOptions>? read)
    {
        var options = new KvConfigurationOptions();
        read?.Invoke(options);
        return options.Validated();
    }
}
