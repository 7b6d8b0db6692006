using System.Globalization;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Model;

/// <summary>
/// A namespace does what a sorted dictionary with a clock does, whatever the order of operations. How many operations are
/// tried: <c>KVSTORE_MODEL_OPERATIONS</c>, 200,000 unless given. What failed is repeated by <c>KVSTORE_MODEL_SEED</c>.
/// </summary>
public sealed class ModelTests
{
    private const int OperationsByDefault = 200_000;
    private const int SeedByDefault = 20_260_730;
    private const int LastOperations = 12;

    public static TheoryData<string> Universes => [.. KeyUniverse.Names];

    [Theory]
    [MemberData(nameof(Universes))]
    public void Random_operations_answer_as_the_model_does(string universe)
    {
        var operations = int.TryParse(
            Environment.GetEnvironmentVariable("KVSTORE_MODEL_OPERATIONS"), NumberStyles.None, CultureInfo.InvariantCulture, out var given)
            ? given
            : OperationsByDefault;
        var seed = int.TryParse(
            Environment.GetEnvironmentVariable("KVSTORE_MODEL_SEED"), NumberStyles.None, CultureInfo.InvariantCulture, out var givenSeed)
            ? givenSeed
            : given > 0 ? Random.Shared.Next() : SeedByDefault;

        // Half of all on the one that is large.
        var share = universe == "wide" ? 2 : 2 * (KeyUniverse.Names.Count - 1);
        Run(KeyUniverse.Named(universe, seed), operations / share, seed);
    }

    [Fact]
    public void Any_short_sequence_of_operations_answers_as_the_model_does()
    {
        var sequences =
            from universe in Gen.Elements("few", "edges", "kin")
            from seed in Gen.Choose(0, int.MaxValue)
            from length in Gen.Choose(1, 120)
            select Sequence(universe, seed, length);

        Prop.ForAll(Arb.From(sequences, Shorter), AnswersAsTheModel).Check(Config.QuickThrowOnFailure.WithMaxTest(400));
    }

    private static Operation[] Sequence(string universe, int seed, int length)
    {
        var source = new OperationSource(KeyUniverse.Named(universe, seed), new Random(seed));
        return [.. Enumerable.Range(0, length).Select(_ => source.Next())];
    }

    // Without one half or the other, then without one operation each.
    private static IEnumerable<Operation[]> Shorter(Operation[] operations)
    {
        if (operations.Length > 3)
        {
            yield return operations[..(operations.Length / 2)];
            yield return operations[(operations.Length / 2)..];
        }

        for (var i = 0; i < operations.Length; i++)
        {
            yield return [.. operations[..i], .. operations[(i + 1)..]];
        }
    }

    private static void AnswersAsTheModel(Operation[] operations)
    {
        using var sides = new SideBySide();
        foreach (var operation in operations)
        {
            sides.Apply(operation);
        }

        sides.CompareAll();
    }

    private static void Run(KeyUniverse universe, int operations, int seed)
    {
        using var sides = new SideBySide();
        var source = new OperationSource(universe, new Random(seed));
        var last = new Queue<Operation>();
        for (var i = 0; i < operations; i++)
        {
            var operation = source.Next();
            last.Enqueue(operation);
            if (last.Count > LastOperations)
            {
                last.Dequeue();
            }

            try
            {
                sides.Apply(operation);
                if (i % 20_000 == 19_999 || i == operations - 1)
                {
                    sides.CompareAll();
                }
            }
            catch (Exception e)
            {
                throw new Xunit.Sdk.XunitException(
                    $"In universe \"{universe.Name}\" with KVSTORE_MODEL_SEED={seed}, at operation {i}: {e.Message}\n"
                    + "The last operations were:\n" + string.Join("\n", last), e);
            }
        }
    }
}
