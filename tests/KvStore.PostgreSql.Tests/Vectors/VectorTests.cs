using KvStore.PostgreSql.Tests.Servers;
using KvStore.Tests.Vectors;

namespace KvStore.PostgreSql.Tests.Vectors;

/// <summary>The recorded conversations with the real binding, replayed on namespaces in PostgreSQL.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class DirectVectorTests() : PostgreSqlVectors(Route.Direct);

/// <summary>The same through a pooler that shares connections between transactions.</summary>
[RealPartClass(RealPart.PgBouncer)]
public sealed class PooledVectorTests() : PostgreSqlVectors(Route.Pooled);

/// <summary>The same on PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18)]
public sealed class Direct18VectorTests() : PostgreSqlVectors(Route.Direct18);

/// <summary>The same through a pooler to PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18, RealPart.PgBouncer)]
public sealed class Pooled18VectorTests() : PostgreSqlVectors(Route.Pooled18);

/// <summary>The conversations on one server.</summary>
public abstract class PostgreSqlVectors(Route route)
{
    public static TheoryData<ScenarioCase> Expressible => [.. Scenario.Expressible.Select(scenario => new ScenarioCase(scenario.Id))];

    [Theory]
    [MemberData(nameof(Expressible))]
    public async Task Answers_are_those_of_a_namespace_in_memory(ScenarioCase scenario)
    {
        var recorded = scenario.Scenario;
        var time = new FakeTimeProvider(recorded.Start);
        await using var kv = await KvPostgreSql.OpenAsync(
            $"{recorded.Id} {Guid.NewGuid()}", await route.DataSource, route.Options, new KvNamespaceOptions { TimeProvider = time });
        var answers = DeliberateDifference.All.SingleOrDefault(difference => difference.Id == recorded.Id)?.Answers;
        await new ScenarioRunner(kv, time, recorded).ReplayAsync(answers);
    }
}
