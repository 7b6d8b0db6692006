using Microsoft.Extensions.Logging;

namespace KvStore.Catalog;

/// <summary>The log messages of a catalog.</summary>
internal static partial class CatalogLog
{
    [LoggerMessage(1, LogLevel.Information, "Namespace {Id} \"{Title}\" was created.")]
    public static partial void Created(this ILogger logger, string id, string title);

    [LoggerMessage(2, LogLevel.Information, "Namespace {Id} was renamed to \"{Title}\".")]
    public static partial void Renamed(this ILogger logger, string id, string title);

    [LoggerMessage(3, LogLevel.Information, "Namespace {Id} \"{Title}\" was deleted.")]
    public static partial void Deleted(this ILogger logger, string id, string title);

    [LoggerMessage(4, LogLevel.Warning, "The files of the deleted namespace {Id} could not be removed. The catalog tries again when it is opened the next time.")]
    public static partial void FilesStay(this ILogger logger, string id, Exception exception);

    [LoggerMessage(5, LogLevel.Warning, "The disk failed while the namespace {Id} was closed to be deleted. The namespace is deleted nevertheless.")]
    public static partial void ClosedBadly(this ILogger logger, string id, Exception exception);
}
