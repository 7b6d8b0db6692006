using Microsoft.Extensions.Logging;

namespace KvStore.OutputCaching;

/// <summary>Log messages about the output cache.</summary>
internal static partial class OutputCacheLog
{
    /// <summary>The category of the messages.</summary>
    public const string Category = "KvStore.OutputCaching";

    [LoggerMessage(70, LogLevel.Warning, "A page of the output cache could not be read from the KV namespace {Namespace}; it is made anew. {Suppressed} more failures since the last message")]
    public static partial void ReadFailed(this ILogger logger, string @namespace, long suppressed, Exception exception);

    [LoggerMessage(71, LogLevel.Warning, "A page of the output cache could not be stored in the KV namespace {Namespace}; it is not cached. {Suppressed} more failures since the last message")]
    public static partial void WriteFailed(this ILogger logger, string @namespace, long suppressed, Exception exception);

    [LoggerMessage(72, LogLevel.Error, "Pages with an evicted tag could not be deleted from the KV namespace {Namespace}. They are not served while this process runs, and are deleted when the namespace takes writes again; after a restart they may be served until they expire")]
    public static partial void EvictionFailed(this ILogger logger, string @namespace, Exception exception);

    [LoggerMessage(73, LogLevel.Error, "Evicting a tag failed, because the tags of the output cache could not be read from the KV namespace {Namespace}")]
    public static partial void TagsUnreadable(this ILogger logger, string @namespace, Exception exception);
}
