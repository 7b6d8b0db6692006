namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>The servers that the tests run on.</summary>
public enum PostgreSqlVersion
{
    /// <summary>The version of the system's packages: 15 in Debian 12.</summary>
    Packaged,

    /// <summary>PostgreSQL 18.</summary>
    Eighteen,
}
