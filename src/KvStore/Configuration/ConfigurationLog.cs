using Microsoft.Extensions.Logging;

namespace KvStore.Configuration;

/// <summary>Log messages about namespaces that the configuration is read from.</summary>
internal static partial class ConfigurationLog
{
    [LoggerMessage(30, LogLevel.Error, "The key {Key} of the KV namespace {Namespace} cannot be read as configuration: {Reason}. The configuration keeps the values that it had for the key before, if any")]
    public static partial void ConfigurationValueBroken(this ILogger logger, string key, string @namespace, string reason);

    [LoggerMessage(31, LogLevel.Error, "The key {Key} of the KV namespace {Namespace} cannot be read as configuration. The configuration keeps the values that it had for the key before, if any")]
    public static partial void ConfigurationValueUnreadable(this ILogger logger, string key, string @namespace, Exception exception);

    [LoggerMessage(32, LogLevel.Warning, "The keys {Loser} and {Winner} of the KV namespace {Namespace} set the same key of the configuration. The value of {Winner} counts, because it is the later one in ordinal order")]
    public static partial void ConfigurationKeysCollide(this ILogger logger, string loser, string winner, string @namespace);

    [LoggerMessage(33, LogLevel.Error, "Code that is called when the configuration changes has failed after a change of the KV namespace {Namespace}. The configuration has the new values")]
    public static partial void ConfigurationCallbackFailed(this ILogger logger, string @namespace, Exception exception);

    [LoggerMessage(34, LogLevel.Error, "Watching the KV namespace {Namespace} for the configuration has failed. It is tried again in a second; until then the configuration keeps its values")]
    public static partial void ConfigurationWatchFailed(this ILogger logger, string @namespace, Exception exception);

    [LoggerMessage(35, LogLevel.Warning, "The KV namespace {Namespace} could not be opened, and is optional. The configuration goes on without its values")]
    public static partial void ConfigurationNotOpened(this ILogger logger, string @namespace, Exception exception);
}
