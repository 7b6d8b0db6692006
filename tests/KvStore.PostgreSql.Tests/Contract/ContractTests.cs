using KvStore.Contract;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Contract;

/// <summary>The contract of <see cref="IKvNamespace"/> with a clock that the test moves.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class DirectContractTests() : PostgreSqlContract(Route.Direct);

/// <summary>The same through a pooler that shares connections between transactions.</summary>
[RealPartClass(RealPart.PgBouncer)]
public sealed class PooledContractTests() : PostgreSqlContract(Route.Pooled);

/// <summary>The same on PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18)]
public sealed class Direct18ContractTests() : PostgreSqlContract(Route.Direct18);

/// <summary>The same through a pooler to PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18, RealPart.PgBouncer)]
public sealed class Pooled18ContractTests() : PostgreSqlContract(Route.Pooled18);

/// <summary>The contract of <see cref="IKvNamespace"/> with the clock of the database.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class SystemClockContractTests : KvNamespaceContract
{
    protected override async ValueTask<IKvNamespace> OpenAsync() =>
        await KvPostgreSql.OpenAsync($"CONTRACT {Guid.NewGuid()}", await Route.Direct.ConnectionStringAsync());
}

/// <summary>The contract on one server. Each test has a namespace of its own.</summary>
public abstract class PostgreSqlContract(Route route) : KvNamespaceClockContract
{
    protected override async ValueTask<IKvNamespace> OpenAsync() => await KvPostgreSql.OpenAsync(
        $"CONTRACT {Guid.NewGuid()}", await route.DataSource, route.Options, new KvNamespaceOptions { TimeProvider = Clock });
}
