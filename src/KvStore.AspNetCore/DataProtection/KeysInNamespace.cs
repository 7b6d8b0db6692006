using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace KvStore.DataProtection;

/// <summary>Makes Data Protection keep its keys in a namespace, and warns when they are not encrypted there.</summary>
internal sealed class KeysInNamespace(IServiceProvider services, KvAdapter adapter, ILoggerFactory? loggerFactory)
    : IConfigureOptions<KeyManagementOptions>, IPostConfigureOptions<KeyManagementOptions>
{
    private readonly ILogger _logger = loggerFactory?.CreateLogger(DataProtectionLog.Category) ?? NullLogger.Instance;

    public void Configure(KeyManagementOptions options) => options.XmlRepository = new KvXmlRepository(services, adapter, _logger);

    // Runs after everything that sets an encryptor, wherever it was registered.
    public void PostConfigure(string? name, KeyManagementOptions options)
    {
        if (options.XmlRepository is KvXmlRepository && options.XmlEncryptor is null)
        {
            _logger.KeysAreNotEncrypted(adapter.Namespace);
        }
    }
}
