using System.Text.RegularExpressions;

namespace KvStore.PostgreSql.Tests.Schema;

/// <summary>The rights that <c>docs/postgresql.md</c> says an application needs.</summary>
internal static partial class DocumentedRights
{
    /// <summary>The statements that give them.</summary>
    public static string Grant(string database, string user)
    {
        var document = File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "postgresql.md"));
        var statements = Block().Match(document).Groups["statements"].Value;
        statements.Should().StartWith("GRANT");
        return Application().Replace(statements, match => match.Groups["database"].Success ? $"DATABASE {database}" : user);
    }

    /// <summary>The query for them as the database has them: revoke and grant statements, one right each. The partitions of a table count as one table.</summary>
    public static string Query(string user) => $"""
        SELECT format('%1$s ON %2$s', r.privilege_type, string_agg(r.object, ', ' ORDER BY r.object)) FROM (
            SELECT a.privilege_type, CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END || c.oid::regclass AS object, CASE WHEN c.relispartition THEN 0 ELSE c.oid END AS part
            FROM pg_class c, aclexplode(c.relacl) a
            WHERE c.relnamespace = 'kvstore'::regnamespace AND a.grantee = '{user}'::regrole
            UNION ALL
            SELECT a.privilege_type, 'SCHEMA kvstore', n.oid FROM pg_namespace n, aclexplode(n.nspacl) a
            WHERE n.nspname = 'kvstore' AND a.grantee = '{user}'::regrole
            UNION ALL
            SELECT a.privilege_type, 'DATABASE ' || d.datname, d.oid FROM pg_database d, aclexplode(d.datacl) a
            WHERE d.datname = current_database() AND a.grantee = '{user}'::regrole) r
        GROUP BY r.privilege_type, r.part
        ORDER BY 1
        """;

    /// <summary>What the server says about a missing right: kind and name of the object.</summary>
    /// <param name="right">A line of the result of <see cref="Query"/>, with the objects after ON.</param>
    public static string Denial(string right)
    {
        var names = right[(right.IndexOf(" ON ", StringComparison.Ordinal) + 4)..].Split(", ").Select(static name => name.Split(' ', '.')[^1]);
        return $"permission denied for (table|schema|sequence|database) \"?({string.Join('|', names)})\\b";
    }

    [GeneratedRegex(@"\*\*Rights\.\*\*.*?```sql\n(?<statements>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"(?<database>DATABASE app\b)|\bapp\b")]
    private static partial Regex Application();
}
