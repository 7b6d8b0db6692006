using KvStore.PostgreSql.Schema;

namespace KvStore;

/// <summary>How a namespace that is kept in PostgreSQL behaves in this process. Read once, when the namespace is opened.</summary>
public sealed record KvPostgreSqlOptions
{
    private const int LargeValueBytesMin = 1024;

    /// <summary>
    /// The schema that has the tables. All namespaces of a database may share one. Lower-case letters, digits and underscores, at most 40;
    /// not a reserved word of SQL, and nothing that begins with <c>pg_</c>. Default <c>kvstore</c>.
    /// </summary>
    public string Schema { get; init; } = "kvstore";

    /// <summary>
    /// Whether the tables are created when they do not exist. When false, an administrator runs the script of
    /// <see cref="KvPostgreSql.Script"/> first. Default true.
    /// </summary>
    public bool CreateSchema { get; init; } = true;

    /// <summary>
    /// How often the process asks for the writes of other processes, 10 ms to 60 s. Notifications make it ask earlier. Default 250 ms.
    /// </summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Whether processes notify each other of writes with <c>LISTEN</c> and <c>NOTIFY</c>, which takes one more connection. Set it to
    /// false behind a pooler that shares connections between transactions. Default true.
    /// </summary>
    public bool UseNotifications { get; init; } = true;

    /// <summary>
    /// How old the state in memory may become before <see cref="KvNamespace.Health"/> is degraded or reads are refused: the time since the
    /// last successful question for the writes of others. At least 1 s. Default 60 s.
    /// </summary>
    public TimeSpan StalenessMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>What happens to reads when the state in memory is older than <see cref="StalenessMax"/>. Default <see cref="KvWhenStale.Serve"/>.</summary>
    public KvWhenStale WhenStale { get; init; } = KvWhenStale.Serve;

    /// <summary>
    /// The length in bytes from which on a value is not kept in memory and is read from the database each time. At least 1,024. Use the
    /// same number in all processes. Default 262,144 (256 KiB).
    /// </summary>
    public int LargeValueBytes { get; init; } = 256 * 1024;

    /// <summary>
    /// How long a write waits for a database that cannot be reached, and how long a lost connection is followed up to find out whether its
    /// writes were committed. A connection that does not answer for a third of it is given up for another one. 1 s to 10 min. Default 15 s.
    /// </summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// How often the process tries to remove what has expired or is not needed any more from the database; one process at a time does.
    /// At least 1 s; <see cref="Timeout.InfiniteTimeSpan"/> for never. Default 60 s.
    /// </summary>
    public TimeSpan SweepInterval { get; init; } = TimeSpan.FromSeconds(60);

    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(Schema);
        if (!SchemaName.IsAllowed(Schema))
        {
            throw Invalid(nameof(Schema), $"\"{Schema}\"", SchemaName.Allowed);
        }

        Check(nameof(PollInterval), PollInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromSeconds(60));
        Check(nameof(StalenessMax), StalenessMax, TimeSpan.FromSeconds(1), TimeSpan.FromDays(365));
        Check(nameof(WriteTimeout), WriteTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10));
        if (SweepInterval != Timeout.InfiniteTimeSpan)
        {
            Check(nameof(SweepInterval), SweepInterval, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1));
        }

        if (LargeValueBytes < LargeValueBytesMin)
        {
            throw Invalid(nameof(LargeValueBytes), Invariant($"{LargeValueBytes}"), Invariant($"at least {LargeValueBytesMin}"));
        }

        if (WhenStale is not (KvWhenStale.Serve or KvWhenStale.Refuse))
        {
            throw Invalid(nameof(WhenStale), Invariant($"{(int)WhenStale}"), $"{nameof(KvWhenStale.Serve)} or {nameof(KvWhenStale.Refuse)}");
        }
    }

    private static void Check(string option, TimeSpan value, TimeSpan min, TimeSpan max)
    {
        if (value < min || value > max)
        {
            throw Invalid(option, Invariant($"{value}"), Invariant($"{min} to {max}"));
        }
    }

    private static ArgumentException Invalid(string option, string value, string allowed) =>
        new($"{nameof(KvPostgreSqlOptions)}.{option} is {value}; it must be {allowed}.", option);
}

/// <summary>What happens to reads when the state in memory is too old, because the database cannot be reached.</summary>
public enum KvWhenStale
{
    /// <summary>Reads go on, and <see cref="KvNamespace.Health"/> is degraded.</summary>
    Serve,

    /// <summary>Reads throw a <see cref="KvException"/> with status 503 until the state is fresh again.</summary>
    Refuse,
}
