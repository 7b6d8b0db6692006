using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Model;

/// <summary>A namespace does what a sorted dictionary with a clock does, whatever the order of operations. See <see cref="ModelRun"/>.</summary>
public sealed class ModelTests
{
    private const int OperationsBetweenComparisons = 20_000;

    public static TheoryData<string> Universes => [.. KeyUniverse.Names];

    [Theory]
    [MemberData(nameof(Universes))]
    public void Random_operations_answer_as_the_model_does(string universe)
    {
        // Half of all on the one that is large.
        var left = ModelRun.Operations / (universe == "wide" ? 2 : 2 * (KeyUniverse.Names.Count - 1));
        using var sides = new SideBySide();
        var run = new ModelRun(universe);
        while (left > 0)
        {
            var some = Math.Min(left, OperationsBetweenComparisons);
            run.Go(sides, some);
            run.CompareAll(sides);
            left -= some;
        }
    }

    [Fact]
    public void Any_short_sequence_of_operations_answers_as_the_model_does() =>
        Prop.ForAll(OperationSequences.Of(120), AnswersAsTheModel).Check(Config.QuickThrowOnFailure.WithMaxTest(400));

    private static void AnswersAsTheModel(Operation[] operations)
    {
        using var sides = new SideBySide();
        foreach (var operation in operations)
        {
            sides.Apply(operation);
        }

        sides.CompareAll();
    }
}
