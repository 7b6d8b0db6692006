using KvStore.Contract;
using KvStore.PostgreSql.Tests.Servers;
using KvStore.Tests.Contract;

namespace KvStore.PostgreSql.Tests.Contract;

/// <summary>The contract of <see cref="IKvNamespace"/> with a clock that the test moves.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class PostgreSqlContractTests : KvNamespaceClockContract
{
    protected override async ValueTask<IKvNamespace> OpenAsync() => await KvPostgreSql.OpenAsync(
        $"CONTRACT {Guid.NewGuid()}",
        (await PostgreSqlServer.Shared).ConnectionString,
        new KvPostgreSqlOptions { SweepInterval = Timeout.InfiniteTimeSpan },
        new KvNamespaceOptions { TimeProvider = Clock });
}

/// <summary>The contract of <see cref="IKvNamespace"/> with the clock of the database.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class PostgreSqlSystemClockContractTests : KvNamespaceContract
{
    protected override async ValueTask<IKvNamespace> OpenAsync() => await KvPostgreSql.OpenAsync(
        $"CONTRACT {Guid.NewGuid()}", (await PostgreSqlServer.Shared).ConnectionString);
}

/// <summary>The contract of <see cref="IKvExtendedNamespace"/>.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class PostgreSqlExtendedContractTests : KvExtendedNamespaceContract
{
    private readonly string _name = $"EXTENDED {Guid.NewGuid()}";

    protected override bool Persists => true;

    protected override async ValueTask<KvNamespace> OpenAsync() => await KvPostgreSql.OpenAsync(
        _name,
        (await PostgreSqlServer.Shared).ConnectionString,
        new KvPostgreSqlOptions { SweepInterval = Timeout.InfiniteTimeSpan },
        new KvNamespaceOptions { TimeProvider = Clock });
}
