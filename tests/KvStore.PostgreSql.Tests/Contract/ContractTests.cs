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
    private bool _isOpened;

    protected override bool Persists => true;

    protected override async ValueTask<KvNamespace> OpenAsync()
    {
        var database = (await PostgreSqlServer.Shared).ConnectionString;
        if (!_isOpened)
        {
            // The contract knows the name. What the test before has left gets another one.
            _isOpened = true;
            await PostgreSqlServer.ExecuteAsync(
                database, $"{KvPostgreSql.Script("extended")}; UPDATE extended.namespaces SET name = gen_random_uuid()::text");
        }

        return await KvPostgreSql.OpenAsync(
            "EXTENDED",
            database,
            new KvPostgreSqlOptions { Schema = "extended", SweepInterval = Timeout.InfiniteTimeSpan },
            new KvNamespaceOptions { TimeProvider = Clock });
    }
}

/// <summary>The contract of <see cref="IKvExtendedNamespace"/> through a pooler that shares connections between transactions.</summary>
[RealPartClass(RealPart.PgBouncer)]
public sealed class PooledExtendedContractTests : KvExtendedNamespaceContract
{
    private bool _isOpened;

    protected override bool Persists => true;

    protected override async ValueTask<KvNamespace> OpenAsync()
    {
        var database = await Pooler.ConnectionString;
        if (!_isOpened)
        {
            _isOpened = true;
            await PostgreSqlServer.ExecuteAsync(
                database, $"{KvPostgreSql.Script("pooled")}; UPDATE pooled.namespaces SET name = gen_random_uuid()::text");
        }

        return await KvPostgreSql.OpenAsync(
            "EXTENDED",
            database,
            new KvPostgreSqlOptions { Schema = "pooled", SweepInterval = Timeout.InfiniteTimeSpan, UseNotifications = false },
            new KvNamespaceOptions { TimeProvider = Clock });
    }
}
