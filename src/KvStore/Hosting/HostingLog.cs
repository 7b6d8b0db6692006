using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>Log messages about registered namespaces.</summary>
internal static partial class HostingLog
{
    [LoggerMessage(20, LogLevel.Warning, "The configuration has the section {Section}, but no KV namespace of that name is registered, so nothing reads it. Sections of registered namespaces are: {Sections}")]
    public static partial void SectionUnused(this ILogger logger, string section, string sections);

    [LoggerMessage(21, LogLevel.Warning, "A KV namespace was resolved without a key, and {Count} are registered. It is {Namespace}, the first one registered. Resolve it as a keyed service ([FromKeyedServices(\"{Namespace}\")]) to say which one is meant")]
    public static partial void ResolvedWithoutKey(this ILogger logger, int count, string @namespace);
}
