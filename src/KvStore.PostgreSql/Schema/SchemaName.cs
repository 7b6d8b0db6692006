using System.Collections.Frozen;

namespace KvStore.PostgreSql.Schema;

/// <summary>Which names a schema may have: those that mean the same in every statement without quotes.</summary>
internal static class SchemaName
{
    private const int CharsMax = 40;

    // PostgreSQL keeps it for itself.
    private const string SystemPrefix = "pg_";

    // pg_get_keywords() of PostgreSQL 18: the key words that cannot be the name of a schema.
    private static readonly FrozenSet<string> s_keywords = string.Join(
        ' ',
        "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column concurrently constraint",
        "create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user default deferrable desc",
        "distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join",
        "lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary",
        "references returning right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user",
        "using variadic verbose when where window with").Split(' ').ToFrozenSet();

    /// <summary>What a name must be, for messages.</summary>
    public static string Allowed =>
        Invariant($"1 to {CharsMax} lower-case letters, digits and underscores, must not begin with a digit or {SystemPrefix}, and must not be a reserved word of SQL");

    /// <summary>Whether a schema may have the name.</summary>
    public static bool IsAllowed(string name) =>
        name is { Length: >= 1 and <= CharsMax }
        && !char.IsAsciiDigit(name[0])
        && name.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_')
        && !name.StartsWith(SystemPrefix, StringComparison.Ordinal)
        && !s_keywords.Contains(name);
}
