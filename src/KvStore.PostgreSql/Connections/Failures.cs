using System.Net.Sockets;
using Npgsql;

namespace KvStore.PostgreSql.Connections;

/// <summary>What the failures of the database mean.</summary>
internal static class Failures
{
    private const int AttemptsMax = 6;
    private const int DelayMillisecondsMin = 50;

    // The classes of codes "data exception", "integrity constraint violation" and "program limit exceeded".
    private static readonly string[] s_ofData = ["22", "23", "54"];

    /// <summary>Whether it is a failure of the database or of the way there, and no mistake of ours.</summary>
    public static bool IsOfDatabase(Exception exception) =>
        exception is NpgsqlException or SocketException or IOException or TimeoutException or KvPersistenceException;

    /// <summary>Whether the transaction was rolled back for certain, and may be tried again as it is.</summary>
    public static bool IsConflict(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure };

    /// <summary>
    /// Whether the server has refused the transaction for certain, and would again: it has said so, goes on running, has a place for the
    /// connection, and may write.
    /// </summary>
    public static bool IsRefusal(Exception exception) =>
        exception is PostgresException e && !IsReadOnly(e) && e.SqlState != PostgresErrorCodes.TooManyConnections
        && !e.SqlState.StartsWith("57P", StringComparison.Ordinal) && !e.SqlState.StartsWith("08", StringComparison.Ordinal);

    /// <summary>Whether the server has refused the transaction because of what one of its writes contains: the others are not to blame.</summary>
    public static bool IsOfData(Exception exception) =>
        exception is PostgresException e && s_ofData.Contains(e.SqlState[..2]) && e.SqlState != PostgresErrorCodes.DivisionByZero;

    /// <summary>
    /// Whether the session may not write. Others may: the server was the primary, or an administrator has forbidden writes for a while, which
    /// a session keeps in mind as long as it lasts.
    /// </summary>
    public static bool IsReadOnly(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction };

    /// <summary>
    /// What failed, for a message: a sentence without its full stop. Without the details of the server, which can quote what is in a row.
    /// </summary>
    public static string Reason(Exception exception) =>
        (exception is PostgresException e ? $"{e.SqlState}: {e.MessageText}" : exception.Message).TrimEnd('.');

    /// <summary>The time before another attempt: longer each time up to some seconds, and never the same in two processes.</summary>
    /// <param name="attempt">How many attempts have failed.</param>
    public static TimeSpan DelayAfter(int attempt) =>
        TimeSpan.FromMilliseconds(DelayMillisecondsMin * (1 << Math.Min(attempt, AttemptsMax)) * (0.5 + Random.Shared.NextDouble()));
}
