namespace KvStore.Comparisons.Compare;

/// <summary>A line of a comparison table: one way to do the work of a question.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Steps">How many steps the work has.</param>
/// <param name="OperationsPerStep">The number of operations in a step.</param>
/// <param name="Run">
/// Runs a range of steps, and returns a number that depends on all of them. It must be short enough to be called often, so that it is
/// optimized before it is measured.
/// </param>
internal sealed record Contender(string Name, int Steps, int OperationsPerStep, Func<Range, int> Run)
{
    /// <summary>Whether a second run is different work, as with inserts.</summary>
    public bool IsOnce { get; init; }

    /// <summary>Whether one pass in a round is enough, because it takes long.</summary>
    public bool IsSlow { get; init; }

    /// <summary>Called before each round, outside the measured time.</summary>
    public Action Prepare { get; init; } = static () => { };

    /// <summary>Called after each round, outside the measured time.</summary>
    public Action Finish { get; init; } = static () => { };
}
