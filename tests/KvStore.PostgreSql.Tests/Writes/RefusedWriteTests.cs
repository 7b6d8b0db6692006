using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Writes;

public sealed class RefusedWriteTests
{
    [RealPartFact(RealPart.PostgreSql)]
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
}
