using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Schema;

/// <summary>A user with the documented rights can do everything, and with less something fails.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class RightsTests() : Rights(PostgreSqlVersion.Packaged);

/// <summary>The same on PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18)]
public sealed class Rights18Tests() : Rights(PostgreSqlVersion.Eighteen);

/// <summary>The tests, which run on each version.</summary>
public abstract class Rights(PostgreSqlVersion version) : IAsyncLifetime
{
    private readonly string _user = $"u{Guid.NewGuid():N}";
    private string _administrator = "";
    private string _limited = "";

    public async Task InitializeAsync()
    {
        _administrator = await (await PostgreSqlServer.SharedOf(version)).CreateDatabaseAsync();
        var database = new NpgsqlConnectionStringBuilder(_administrator) { Username = _user };
        _limited = database.ConnectionString;

        // An administrator who leaves nothing to everybody.
        await ExecuteAsync(
            $"""
            REVOKE ALL ON DATABASE {database.Database} FROM PUBLIC;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            {KvPostgreSql.Script()};
            CREATE USER {_user};
            {DocumentedRights.Grant(database.Database!, _user)}
            """);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task User_with_the_documented_rights_alone_can_do_everything()
    {
        await using var life = new WholeLife(_administrator, _limited);
        await life.LiveAsync();
    }

    [Fact]
    public async Task Each_documented_right_is_needed_and_named_when_it_is_missing()
    {
        var rights = await RightsAsync();
        rights.Should().HaveCountGreaterThan(20);
        foreach (var right in rights)
        {
            await ExecuteAsync($"REVOKE {right} FROM {_user}");
            await using (var life = new WholeLife(_administrator, _limited))
            {
                var live = () => life.LiveAsync();
                var thrown = (await live.Should().ThrowAsync<Exception>($"\"{right}\" is said to be needed")).Which;
                thrown.Should().Match(e => e is KvPersistenceException || e is PostgresException, $"of \"{right}\"");
                thrown.Message.Should().MatchRegex(DocumentedRights.Denial(right), $"\"{right}\" is missing");
            }

            await ExecuteAsync($"GRANT {right} TO {_user}");
        }
    }

    private async Task<List<string>> RightsAsync()
    {
        await using var connection = new NpgsqlConnection(_administrator);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(DocumentedRights.Query(_user), connection);
        await using var reader = await command.ExecuteReaderAsync();
        var rights = new List<string>();
        while (await reader.ReadAsync())
        {
            rights.Add(reader.GetString(0));
        }

        return rights;
    }

    private Task<object?> ExecuteAsync(string statements) => PostgreSqlServer.ExecuteAsync(_administrator, statements);
}
