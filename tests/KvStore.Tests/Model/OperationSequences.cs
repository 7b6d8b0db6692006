using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Model;

/// <summary>Short sequences of operations, of which a failing one is made shorter.</summary>
internal static class OperationSequences
{
    /// <summary>Sequences of 1 to <paramref name="lengthMax"/> operations on universes of few or similar keys.</summary>
    public static Arbitrary<Operation[]> Of(int lengthMax) => Arb.From(
        from universe in Gen.Elements("few", "edges", "kin")
        from seed in Gen.Choose(0, int.MaxValue)
        from length in Gen.Choose(1, lengthMax)
        select Sequence(universe, seed, length),
        Shorter);

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
}
