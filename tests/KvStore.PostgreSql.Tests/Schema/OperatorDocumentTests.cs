using System.Text.RegularExpressions;
using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Schema;

/// <summary>What docs/postgresql.md tells operators to run.</summary>
public sealed partial class OperatorDocumentTests
{
    public static TheoryData<string> Statements()
    {
        var document = File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "postgresql.md"));
        return new TheoryData<string>(Blocks().Matches(document).Select(static match => match.Groups[1].Value.Trim()).Where(static statement => statement.Contains("SELECT n.name", StringComparison.Ordinal) || statement.StartsWith("--", StringComparison.Ordinal)));
    }

    [RealPartTheory(RealPart.PostgreSql)]
    [MemberData(nameof(Statements))]
    public async Task Statement_of_the_documents_for_operators_runs(string statement)
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await shared[0].PutManyAsync([new KvEntry("k", "v"), new KvEntry("deleted", "v")]);
        await shared[0].PutAsync("k", "w");
        await shared[0].DeleteAsync("deleted");
        await using var connection = new NpgsqlConnection(shared.Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(statement, connection);
        await using var reader = await command.ExecuteReaderAsync();
        if (statement.Contains("SELECT n.name", StringComparison.Ordinal))
        {
            (await reader.ReadAsync()).Should().BeTrue();
            (reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2)).Should().Be(("SHARED", 1L, 1L));
        }
        else if (statement.Contains("pg_class", StringComparison.Ordinal))
        {
            (await reader.ReadAsync()).Should().BeTrue("there are tables");
        }
    }

    [Fact]
    public void Statements_for_operators_are_found() => Statements().Should().HaveCount(4);

    [GeneratedRegex("```sql\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Blocks();
}
