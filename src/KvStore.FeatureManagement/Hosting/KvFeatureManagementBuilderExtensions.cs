using KvStore;
using KvStore.Definitions;
using KvStore.Hosting;
using KvStore.Keys;
using KvStore.Rules;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Microsoft.FeatureManagement;

/// <summary>Adds definitions of features from KV namespaces.</summary>
public static class KvFeatureManagementBuilderExtensions
{
    /// <summary>
    /// Reads the definitions of all features from a namespace, in place of the configuration. A change of an entry is seen at once, through
    /// a watch. As long as nothing changes, finding a definition allocates nothing.
    /// </summary>
    /// <remarks>
    /// <para>The key after the prefix is the name of the feature, unless the value has an <c>id</c>. Names are not case-sensitive. The
    /// value is the feature's JSON in the Microsoft schema: <c>enabled</c>, <c>conditions</c>, <c>variants</c>, <c>allocation</c>,
    /// <c>telemetry</c>. <c>true</c> and <c>false</c> stand for an object with <c>enabled</c> alone. A boolean <c>enabled</c> in the
    /// metadata of the entry overrides the one of the value, which may then be empty.</para>
    /// <para>A definition that cannot be read is logged and leaves the one that its key had before. Where two keys define one feature, the
    /// later one in ordinal order counts, and a warning is logged.</para>
    /// <para>The namespace is registered with <c>services.AddKvNamespace</c>, before or afterwards. It must not evict entries. A host reads
    /// the definitions when it starts.</para>
    /// </remarks>
    /// <param name="builder">The builder that <c>services.AddFeatureManagement()</c> returns.</param>
    /// <param name="name">The name of the namespace, for example <c>FLAGS_KV</c>.</param>
    /// <param name="prefix">
    /// What the keys of the definitions begin with, for example <c>flag:</c>; Unicode of at most 256 bytes in UTF-8. Empty for all keys of the
    /// namespace.
    /// </param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentException">The name is empty, the prefix is not Unicode or too long, or the definitions were added before.</exception>
    public static IFeatureManagementBuilder AddKvFeatureDefinitions(this IFeatureManagementBuilder builder, string name, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        EntryKeys.Check(prefix, nameof(prefix));
        var adapter = new KvAdapter
        {
            Name = "feature_management",
            Namespace = name,
            Prefix = prefix,
            RegisteredBy = nameof(AddKvFeatureDefinitions),
            IsReadOnly = true,
            RefusesEviction = true,
        };
        builder.Services.AddKvAdapter(adapter);
        builder.Services.AddSingleton(provider => new KvFeatureDefinitionProvider(
            () => adapter.GetNamespace<IKvExtendedNamespace>(provider),
            adapter,
            provider.GetRequiredService<ILoggerFactory>().CreateLogger("KvStore.FeatureManagement")));

        // The package registers its own provider of the configuration before.
        builder.Services.RemoveAll<IFeatureDefinitionProvider>();
        builder.Services.AddSingleton<IFeatureDefinitionProvider>(static provider => provider.GetRequiredService<KvFeatureDefinitionProvider>());
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, FeatureLoading>());
        return builder;
    }
}
