using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>Log messages about registered namespaces.</summary>
internal static partial class HostingLog
{
    [LoggerMessage(20, LogLevel.Warning, "The configuration has the section {Section}, but no KV namespace of that name is registered, so nothing reads it. Sections of registered namespaces are: {Sections}")]
    public static partial void SectionUnused(this ILogger logger, string section, string sections);

    [LoggerMessage(22, LogLevel.Warning, "The configuration has the section {Section}, which is a part of the section of another KV namespace. The section of the namespace {Namespace} is {Path}")]
    public static partial void SectionMisplaced(this ILogger logger, string section, string @namespace, string path);

    [LoggerMessage(21, LogLevel.Warning, "A KV namespace was resolved without a key, and {Count} are registered. It is {Namespace}, the first one registered. Resolve it as a keyed service ([FromKeyedServices(\"{Namespace}\")]) to say which one is meant")]
    public static partial void ResolvedWithoutKey(this ILogger logger, int count, string @namespace);

    [LoggerMessage(23, LogLevel.Warning, "The KV namespace {Namespace} was opened by the configuration, before there was a container, and uses another clock than the container. Set its clock where the configuration adds it: AddKvNamespace(name, kv => kv.Configure(o => o with {{ TimeProvider = clock }}))")]
    public static partial void ClockNotTaken(this ILogger logger, string @namespace);

    [LoggerMessage(24, LogLevel.Warning, "{RegisteredBy} keeps its entries in the KV namespace {Namespace}, which evicts entries when its memory is full. When an entry is evicted, {Lost}. To keep entries until they expire, use a namespace without KvMemoryPolicy.Evict")]
    public static partial void AdapterEvicted(this ILogger logger, string registeredBy, string @namespace, string lost);
}
