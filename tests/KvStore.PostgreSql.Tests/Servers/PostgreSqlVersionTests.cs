using KvStore.PostgreSql.Schema;

namespace KvStore.PostgreSql.Tests.Servers;

public sealed class PostgreSqlVersionTests
{
    [RealPartFact(RealPart.PostgreSql)]
    public async Task Server_of_the_packages_is_of_a_version_that_is_not_refused() =>
        ServerKind.Refusal("PostgreSQL", await VersionOf(PostgreSqlVersion.Packaged), hasSnapshots: true).Should().BeNull();

    [RealPartFact(RealPart.PostgreSql18)]
    public async Task Server_of_npm_is_of_version_18() => (await VersionOf(PostgreSqlVersion.Eighteen) / 10000).Should().Be(18);

    private static async Task<int> VersionOf(PostgreSqlVersion version) => (int)(await PostgreSqlServer.ExecuteAsync(
        (await PostgreSqlServer.SharedOf(version)).ConnectionString, "SELECT current_setting('server_version_num')::int"))!;
}
