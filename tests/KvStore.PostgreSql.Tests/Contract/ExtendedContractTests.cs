using KvStore.PostgreSql.Tests.Servers;
using KvStore.Tests.Contract;

namespace KvStore.PostgreSql.Tests.Contract;

/// <summary>The contract of <see cref="IKvExtendedNamespace"/>.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class DirectExtendedContractTests() : PostgreSqlExtendedContract(Route.Direct, "direct");

/// <summary>The same through a pooler that shares connections between transactions.</summary>
[RealPartClass(RealPart.PgBouncer)]
public sealed class PooledExtendedContractTests() : PostgreSqlExtendedContract(Route.Pooled, "pooled");

/// <summary>The same on PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18)]
public sealed class Direct18ExtendedContractTests() : PostgreSqlExtendedContract(Route.Direct18, "direct");

/// <summary>The same through a pooler to PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18, RealPart.PgBouncer)]
public sealed class Pooled18ExtendedContractTests() : PostgreSqlExtendedContract(Route.Pooled18, "pooled");

/// <summary>The contract on one server, in a schema of its own. The contract knows the name of the namespace.</summary>
public abstract class PostgreSqlExtendedContract(Route route, string schema) : KvExtendedNamespaceContract
{
    private bool _isOpened;

    protected override bool Persists => true;

    protected override async ValueTask<KvNamespace> OpenAsync()
    {
        var dataSource = await route.DataSource;
        if (!_isOpened)
        {
            // What the test before has left gets another name.
            _isOpened = true;
            await using var rename = dataSource.CreateCommand($"{KvPostgreSql.Script(schema)}; UPDATE {schema}.namespaces SET name = gen_random_uuid()::text");
            await rename.ExecuteNonQueryAsync();
        }

        return await KvPostgreSql.OpenAsync(
            "EXTENDED", dataSource, route.Options with { Schema = schema }, new KvNamespaceOptions { TimeProvider = Clock });
    }
}
