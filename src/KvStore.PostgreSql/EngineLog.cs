using Microsoft.Extensions.Logging;

namespace KvStore.PostgreSql;

/// <summary>The messages in the log.</summary>
internal static partial class EngineLog
{
    [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "The namespace {Name} was loaded from PostgreSQL: {Entries} entries.")]
    public static partial void Opened(ILogger logger, string name, long entries);

    [LoggerMessage(EventId = 2, Level = LogLevel.Warning, Message = "The namespace {Name} cannot follow PostgreSQL; it is tried again and again. Reads are served from memory.")]
    public static partial void Lost(ILogger logger, string name, Exception exception);

    [LoggerMessage(EventId = 3, Level = LogLevel.Information, Message = "The namespace {Name} follows PostgreSQL again after {Seconds:0.0} seconds.")]
    public static partial void Found(ILogger logger, string name, double seconds);

    [LoggerMessage(EventId = 5, Level = LogLevel.Warning, Message = "The clock of PostgreSQL and the clock of this process, which uses the namespace {Name}, differ by {Seconds} seconds.")]
    public static partial void ClockMoved(ILogger logger, string name, long seconds);
}
