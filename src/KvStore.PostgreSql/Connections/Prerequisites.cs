using KvStore.PostgreSql.Writes;
using Npgsql;

namespace KvStore.PostgreSql.Connections;

/// <summary>Settings with which a namespace would open, and fail later.</summary>
internal static class Prerequisites
{
    /// <summary>The longest key that the index of the table takes: a third of a page of 8 KiB, without what else is in the row of the index.</summary>
    public const int KeyBytesMax = 2600;

    // To write and to ask.
    private const int Kept = WriteBacklog.Lanes + 1;

    // To notify and to listen.
    private const int KeptForNotifications = 2;

    // For large values and for sweeping, for a moment.
    private const int Shared = 1;

    /// <summary>How many connections a namespace needs at least.</summary>
    public static int ConnectionsMin(bool usesNotifications) => Kept + (usesNotifications ? KeptForNotifications : 0) + Shared;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">One of them cannot work; the message says which.</exception>
    public static void Check(NpgsqlDataSource dataSource, KvPostgreSqlOptions options, KvLimits limits)
    {
        if (limits.KeyBytesMax > KeyBytesMax)
        {
            throw new ArgumentException(
                Invariant($"{nameof(KvLimits)}.{nameof(KvLimits.KeyBytesMax)} is {limits.KeyBytesMax}; it must be at most {KeyBytesMax} in PostgreSQL, whose indexes take no longer keys."),
                nameof(limits));
        }

        var pool = new NpgsqlConnectionStringBuilder(dataSource.ConnectionString);
        var min = ConnectionsMin(options.UseNotifications);
        if (pool.Pooling && pool.MaxPoolSize < min)
        {
            throw new ArgumentException(
                Invariant($"The data source has Maximum Pool Size={pool.MaxPoolSize}; it must be at least {min} for each namespace")
                + (options.UseNotifications ? Invariant($", or {ConnectionsMin(usesNotifications: false)} without {nameof(KvPostgreSqlOptions.UseNotifications)}.") : "."),
                nameof(dataSource));
        }
    }
}
