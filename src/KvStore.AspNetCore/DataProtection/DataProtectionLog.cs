using Microsoft.Extensions.Logging;

namespace KvStore.DataProtection;

/// <summary>Log messages about the keys of Data Protection.</summary>
internal static partial class DataProtectionLog
{
    /// <summary>The category of the messages.</summary>
    public const string Category = "KvStore.DataProtection";

    [LoggerMessage(60, LogLevel.Warning, "The keys of Data Protection are not encrypted in the KV namespace {Namespace}: anybody who can read its files, a backup, the API or the dashboard can read the keys, and make cookies and tokens that this application accepts. Encrypt them: call ProtectKeysWithCertificate, or another ProtectKeysWith method, after PersistKeysToKvNamespace")]
    public static partial void KeysAreNotEncrypted(this ILogger logger, string @namespace);

    [LoggerMessage(61, LogLevel.Error, "Keys of Data Protection could not be deleted from the KV namespace {Namespace}. Those after the one that failed were not deleted either")]
    public static partial void DeletionFailed(this ILogger logger, string @namespace, Exception exception);
}
