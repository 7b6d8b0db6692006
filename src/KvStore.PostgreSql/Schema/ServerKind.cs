namespace KvStore.PostgreSql.Schema;

/// <summary>Refuses servers that speak the protocol of PostgreSQL and lack what the feed needs.</summary>
internal static class ServerKind
{
    private const int VersionMin = 130000;

    /// <summary>Why a server cannot be used; null when it can.</summary>
    /// <param name="version">What <c>version()</c> returns.</param>
    /// <param name="versionNumber">The setting <c>server_version_num</c>.</param>
    /// <param name="hasSnapshots">Whether it has the function <c>pg_visible_in_snapshot</c>.</param>
    public static string? Refusal(string version, int versionNumber, bool hasSnapshots) =>
        Refusal(version) is { } refusal
            ? refusal
        : versionNumber < VersionMin
            ? Invariant($"The server is PostgreSQL {versionNumber / 10000}; use PostgreSQL 13 or later.")
        : !hasSnapshots
            ? "The server has no function pg_visible_in_snapshot. Use PostgreSQL 13 or later."
        : null;

    /// <summary>Why another product cannot be used; null when it may be PostgreSQL.</summary>
    /// <param name="version">What <c>version()</c> returns, which all of them have.</param>
    public static string? Refusal(string version)
    {
        var product = version.Contains("CockroachDB", StringComparison.OrdinalIgnoreCase) ? "CockroachDB"
            : version.Contains("-YB-", StringComparison.Ordinal) || version.Contains("Yugabyte", StringComparison.OrdinalIgnoreCase) ? "YugabyteDB"
            : null;
        return product is null
            ? null
            : $"The server is {product}, which has no snapshots of transactions that can be compared (pg_visible_in_snapshot). Use PostgreSQL 13 or later.";
    }
}
