using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Writes;

[RealPartClass(RealPart.PostgreSql)]
public sealed class RefusedWriteTests
{
    [Fact]
    public async Task Write_that_the_server_refuses_says_why_and_never_quotes_the_value()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", $"{database};Include Error Detail=true");
        await PostgreSqlServer.ExecuteAsync(database, "ALTER TABLE kvstore.entries ADD CONSTRAINT short CHECK (octet_length(value) < 10)");

        var put = () => kv.PutAsync("k", "a secret of some length").AsTask();
        var thrown = (await put.Should().ThrowAsync<KvPersistenceException>()).Which;
        thrown.Message.Should().Contain("23514").And.Contain("\"short\". Nothing was written.");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Degraded);
        var secret = Convert.ToHexStringLower("a secret"u8);
        thrown.Message.Should().NotContain("secret").And.NotContain(secret);
        kv.Health.Reason.Should().NotContain("secret").And.NotContain(secret);

        await kv.PutAsync("k", "short");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task Write_that_the_server_refuses_fails_alone()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await PostgreSqlServer.ExecuteAsync(database, "ALTER TABLE kvstore.entries ADD CONSTRAINT short CHECK (octet_length(value) < 10)");

        // They wait together for the first one.
        var puts = Enumerable.Range(0, 700).ToDictionary(static i => i, i => kv.PutAsync($"{i}", i % 250 == 7 ? "a text that is too long" : "short").AsTask());
        var refused = new List<int>();
        foreach (var (i, put) in puts)
        {
            try
            {
                await put;
            }
            catch (KvPersistenceException e)
            {
                e.Message.Should().Contain("23514");
                refused.Add(i);
            }
        }

        refused.Should().Equal(7, 257, 507);
        kv.Count.Should().Be(697);
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM kvstore.entries")).Should().Be(697L);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(30)]
    public async Task Put_whose_place_a_refused_put_of_its_key_took_is_made(int others)
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await PostgreSqlServer.ExecuteAsync(database, "ALTER TABLE kvstore.entries ADD CONSTRAINT short CHECK (octet_length(value) < 10)");

        // They wait together for the first one.
        var first = kv.PutAsync("first", "v").AsTask();
        var more = Enumerable.Range(0, others).Select(i => kv.PutAsync($"{i}", "v").AsTask()).ToList();
        var sound = kv.PutAsync("k", "short").AsTask();
        var refused = kv.PutAsync("k", "a text that is too long").AsTask();

        await ((Func<Task>)(() => refused)).Should().ThrowAsync<KvPersistenceException>().WithMessage("*23514*");
        await Task.WhenAll([first, sound, .. more]);
        (await kv.GetTextAsync("k")).Should().Be("short");
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM kvstore.entries WHERE value = 'short'")).Should().Be(1L);
    }

    [Fact]
    public async Task Put_whose_place_an_entry_took_is_made_when_the_call_of_the_entry_fails_before_it()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await PostgreSqlServer.ExecuteAsync(database, "ALTER TABLE kvstore.entries ADD CONSTRAINT short CHECK (octet_length(value) < 10)");

        // They wait together for the first one.
        var first = kv.PutAsync("first", "v").AsTask();
        var sound = kv.PutAsync("k", "short").AsTask();
        var call = kv.PutManyAsync([new KvEntry("a", "a text that is too long"), new KvEntry("k", "new")]).AsTask();

        await ((Func<Task>)(() => call)).Should().ThrowAsync<KvPersistenceException>().WithMessage("*23514*");
        await Task.WhenAll(first, sound);
        (await kv.GetTextAsync("k")).Should().Be("short");
    }

    [Theory]
    [InlineData(20)]
    [InlineData(2000)]
    public async Task Entries_of_a_call_before_the_refused_one_are_made_and_those_behind_it_are_not(int count)
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await PostgreSqlServer.ExecuteAsync(database, "ALTER TABLE kvstore.entries ADD CONSTRAINT short CHECK (octet_length(value) < 10)");
        var refused = count * 2 / 3;

        var putMany = () => kv.PutManyAsync([.. Enumerable.Range(0, count).Select(i => new KvEntry($"{i:D4}", i == refused ? "a text that is too long" : "short"))]).AsTask();
        (await putMany.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*23514*");

        (await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM kvstore.entries")).Should().Be((long)refused);
        (await SharedNamespaces.StateOf(kv)).Keys.Should().Equal(Enumerable.Range(0, refused).Select(static i => $"{i:D4}"));
    }
}
