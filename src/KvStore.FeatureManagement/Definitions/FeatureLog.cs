using Microsoft.Extensions.Logging;

namespace KvStore.Definitions;

/// <summary>Log messages about the definitions of features.</summary>
internal static partial class FeatureLog
{
    [LoggerMessage(1, LogLevel.Error, "The key {Key} of the KV namespace {Namespace} cannot be read as the definition of a feature: {Reason}. The definition that it had before stays, if any")]
    public static partial void DefinitionBroken(this ILogger logger, string key, string @namespace, string reason);

    [LoggerMessage(2, LogLevel.Error, "The key {Key} of the KV namespace {Namespace} cannot be read. The definition of a feature that it had before stays, if any")]
    public static partial void DefinitionUnreadable(this ILogger logger, string key, string @namespace, Exception exception);

    [LoggerMessage(3, LogLevel.Warning, "The keys {Loser} and {Winner} of the KV namespace {Namespace} define the same feature. The definition of {Winner} counts, because it is the later one in ordinal order")]
    public static partial void DefinitionsCollide(this ILogger logger, string loser, string winner, string @namespace);

    [LoggerMessage(4, LogLevel.Error, "Watching the KV namespace {Namespace} for definitions of features has failed. It is tried again in a second; until then the definitions stay as they are")]
    public static partial void WatchFailed(this ILogger logger, string @namespace, Exception exception);
}
