using Microsoft.Extensions.Logging;

namespace KvStore.Tickets;

/// <summary>Log messages about kept sign-ins.</summary>
internal static partial class TicketLog
{
    /// <summary>The category of the messages.</summary>
    public const string Category = "KvStore.Tickets";

    [LoggerMessage(50, LogLevel.Warning, "A ticket in the KV namespace {Namespace} cannot be read, and its visitor has to sign in again. Either the keys of Data Protection that it was written with are gone, or somebody else has written the entry. Keep the keys: call PersistKeysToKvNamespace")]
    public static partial void TicketUnreadable(this ILogger logger, string @namespace, Exception? exception);

    [LoggerMessage(51, LogLevel.Information, "A ticket in the KV namespace {Namespace} was not renewed, because its user was signed out everywhere after the request had begun")]
    public static partial void RenewalRefused(this ILogger logger, string @namespace);
}
