using Microsoft.Extensions.Logging;

namespace KvStore.Diagnostics;

/// <summary>Log messages of namespaces.</summary>
internal static partial class KvLog
{
    [LoggerMessage(1, LogLevel.Debug, "KV namespace {Namespace} was created")]
    public static partial void NamespaceCreated(this ILogger logger, string @namespace);

    [LoggerMessage(2, LogLevel.Debug, "KV namespace {Namespace} was disposed")]
    public static partial void NamespaceDisposed(this ILogger logger, string @namespace);

    [LoggerMessage(3, LogLevel.Error, "Background work of KV namespace {Namespace} failed; it goes on serving, and tries again")]
    public static partial void MaintenanceFailed(this ILogger logger, string @namespace, Exception exception);

    [LoggerMessage(10, LogLevel.Warning, "The factory for key {Key} of KV namespace {Namespace} failed in the background; the old value stays until it expires")]
    public static partial void RefreshFailed(this ILogger logger, string @namespace, string key, Exception exception);

    [LoggerMessage(11, LogLevel.Warning, "The factory for key {Key} of KV namespace {Namespace} failed; the old value is returned")]
    public static partial void StaleOnError(this ILogger logger, string @namespace, string key, Exception exception);

    [LoggerMessage(12, LogLevel.Warning, "The value created for key {Key} of KV namespace {Namespace} could not be stored; it is returned all the same")]
    public static partial void CreatedButNotStored(this ILogger logger, string @namespace, string key, Exception exception);

    [LoggerMessage(20, LogLevel.Warning, "{Warning}")]
    public static partial void WranglerFileIsOdd(this ILogger logger, string warning);
}
