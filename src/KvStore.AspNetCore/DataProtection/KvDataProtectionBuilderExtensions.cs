using KvStore;
using KvStore.DataProtection;
using KvStore.Keys;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.AspNetCore.DataProtection;

/// <summary>Keeps the keys of Data Protection in a KV namespace.</summary>
public static class KvDataProtectionBuilderExtensions
{
    private const string DefaultPrefix = "keys/";

    /// <summary>
    /// Keeps the keys and revocations of Data Protection in a namespace, so that cookies and tokens stay valid after a restart. The
    /// namespace must persist, and must not evict entries.
    /// </summary>
    /// <remarks>
    /// <para>A new key is on the disk before it is used, with any durability of the namespace. When the namespace cannot be read or
    /// written, the exception is thrown to Data Protection.</para>
    /// <para>Keys are stored as they are, unless a <c>ProtectKeysWith…</c> method is called as well. Without one, a warning is logged.</para>
    /// <para>The host does not start when the namespace is not registered, or evicts entries.</para>
    /// </remarks>
    /// <param name="builder">The builder that <c>AddDataProtection</c> returns.</param>
    /// <param name="name">The name of the namespace, for example <c>KEYS_KV</c>. It may be registered before or afterwards.</param>
    /// <param name="prefix">What the keys of the entries begin with, at most 256 bytes; null for <c>keys/</c>.</param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentException">
    /// The name is empty, the prefix is too long or no Unicode, or the method was called before.
    /// </exception>
    public static IDataProtectionBuilder PersistKeysToKvNamespace(this IDataProtectionBuilder builder, string name, string? prefix = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        prefix ??= DefaultPrefix;
        EntryKeys.Check(prefix, nameof(prefix));
        var adapter = new KvAdapter
        {
            Name = "data_protection",
            Namespace = name,
            Prefix = prefix,
            RegisteredBy = nameof(PersistKeysToKvNamespace),
            RefusesEviction = true,
            KeyBytesMax = System.Text.Encoding.UTF8.GetByteCount(prefix) + KvXmlRepository.NameBytesMax,
        };
        builder.Services.AddKvAdapter(adapter);
        builder.Services.AddSingleton<IConfigureOptions<KeyManagementOptions>>(services => Setup(services, adapter));
        builder.Services.AddSingleton<IPostConfigureOptions<KeyManagementOptions>>(services => Setup(services, adapter));
        return builder;
    }

    private static KeysInNamespace Setup(IServiceProvider services, KvAdapter adapter) =>
        new(services, adapter, services.GetService<ILoggerFactory>());
}
