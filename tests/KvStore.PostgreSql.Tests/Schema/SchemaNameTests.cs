using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Schema;

public sealed class SchemaNameTests
{
    [Theory]
    [InlineData("Kv")]
    [InlineData("")]
    [InlineData("a;drop")]
    [InlineData("a b")]
    [InlineData("é")]
    [InlineData("1a")]
    [InlineData("pg_kv")]
    [InlineData("user")]
    [InlineData("a234567890123456789012345678901234567890x")]
    public void Schema_that_is_no_plain_name_is_refused(string schema) =>
        FluentActions.Invoking(() => KvPostgreSql.Script(schema)).Should().Throw<ArgumentException>().WithMessage($"*Schema is \"{schema}\"*lower-case*");

    [RealPartTheory(RealPart.PostgreSql18)]
    [InlineData("a23456789012345678901234567890123456789x")]
    [InlineData("_")]
    [InlineData("users")]
    [InlineData("key")]
    public async Task Schema_with_an_allowed_name_can_be_used(string schema)
    {
        var database = await (await PostgreSqlServer.SharedOf(PostgreSqlVersion.Eighteen)).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database, new KvPostgreSqlOptions { Schema = schema });
        await kv.PutAsync("k", "v");
        (await PostgreSqlServer.ExecuteAsync(database, $"SELECT count(*) FROM {schema}.entries")).Should().Be(1L);
    }

    [RealPartFact(RealPart.PostgreSql)]
    public Task Reserved_words_of_the_packaged_server_are_refused() => ShouldRefuseReservedWordsAsync(PostgreSqlVersion.Packaged);

    [RealPartFact(RealPart.PostgreSql18)]
    public Task Reserved_words_of_PostgreSQL_18_are_refused() => ShouldRefuseReservedWordsAsync(PostgreSqlVersion.Eighteen);

    private static async Task ShouldRefuseReservedWordsAsync(PostgreSqlVersion version)
    {
        await using var connection = new NpgsqlConnection((await PostgreSqlServer.SharedOf(version)).ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT array_agg(word) FROM pg_get_keywords() WHERE catcode IN ('R', 'T')", connection);
        foreach (var word in (string[])(await command.ExecuteScalarAsync())!)
        {
            FluentActions.Invoking(() => KvPostgreSql.Script(word)).Should().Throw<ArgumentException>($"\"{word}\" is reserved");
        }
    }
}
