using FsCheck;
using FsCheck.Fluent;
using KvStore.PostgreSql.Tests.Servers;
using KvStore.Tests.Model;

namespace KvStore.PostgreSql.Tests.Model;

/// <summary>A namespace in PostgreSQL does what the model of namespaces in memory does.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class DirectModelTests() : PostgreSqlModel(Route.Direct);

/// <summary>The same through a pooler that shares connections between transactions.</summary>
[RealPartClass(RealPart.PgBouncer)]
public sealed class PooledModelTests() : PostgreSqlModel(Route.Pooled);

/// <summary>The same on PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18)]
public sealed class Direct18ModelTests() : PostgreSqlModel(Route.Direct18);

/// <summary>The same through a pooler to PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18, RealPart.PgBouncer)]
public sealed class Pooled18ModelTests() : PostgreSqlModel(Route.Pooled18);

/// <summary>The model on one server. The clock is that of the test, in all processes.</summary>
public abstract class PostgreSqlModel(Route route)
{
    // A write takes a thousand times as long as in memory.
    private const int Share = 25;

    // So many are written in another way than few.
    private const int ImportedEntries = 1500;

    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(20);

    private static readonly string[] s_universes = [.. KeyUniverse.Names.Where(name => name != "wide")];

    public static TheoryData<string> Universes => [.. s_universes];

    [Theory]
    [MemberData(nameof(Universes))]
    public Task Random_operations_answer_as_the_model_does_also_after_a_restart(string universe) => Task.Run(async () =>
    {
        var operations = ModelRun.Operations / Share / s_universes.Length;
        using var sides = Open();
        await using var follower = sides.Open();
        var run = new ModelRun(universe);
        for (var part = 0; part < 3; part++)
        {
            run.Go(sides, operations / 3);
            run.PutMany(sides, ImportedEntries);
            run.CompareAll(sides);
            await ShouldFollowAsync(follower, sides.Actual);
            run.Reopen(sides);
        }
    });

    [Fact]
    public Task Any_short_sequence_of_operations_answers_as_the_model_does() => Task.Run(
        () => Prop.ForAll(OperationSequences.Of(60), AnswersAsTheModel).Check(Config.QuickThrowOnFailure.WithMaxTest(20)));

    private void AnswersAsTheModel(Operation[] operations)
    {
        using var sides = Open();
        foreach (var operation in operations)
        {
            sides.Apply(operation);
        }

        sides.CompareAll();
        sides.Reopen();
    }

    private SideBySide Open()
    {
        var name = $"MODEL {Guid.NewGuid()}";
        return new SideBySide(
            options => OpenAsync(name, options).GetAwaiter().GetResult(), completesAtOnce: false);
    }

    private async Task<KvNamespace> OpenAsync(string name, KvNamespaceOptions options) =>
        await KvPostgreSql.OpenAsync(name, await route.DataSource, route.Options with { PollInterval = s_pollInterval }, options);

    private static async Task ShouldFollowAsync(KvNamespace follower, KvNamespace leader)
    {
        var expected = await StateOf(leader);
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var actual = await StateOf(follower);
            if (actual.SequenceEqual(expected))
            {
                return;
            }

            if (TimeProvider.System.GetElapsedTime(began) > TimeSpan.FromSeconds(60))
            {
                actual.Should().Equal(expected);
            }

            await Task.Delay(s_pollInterval);
        }
    }

    private static async Task<List<string>> StateOf(KvNamespace kv)
    {
        var state = new List<string>();
        await foreach (var entry in kv.ScanAsync())
        {
            var value = entry.Value;
            state.Add($"{entry.Key} {value.Revision} {value.Expiration:u} {value.Metadata} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(value.GetBytes().Span))}");
        }

        return state;
    }
}
