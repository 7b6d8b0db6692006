namespace KvStore.Comparisons.Compare;

/// <summary>One line of a side-by-side table: a way of doing the same work.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Steps">How many steps the work has.</param>
/// <param name="OperationsPerStep">How many operations each step is counted as.</param>
/// <param name="Run">
/// Does the steps of a range and returns something that depends on all of it. It must be short enough to be called
/// often, so that it is compiled for speed before it is measured.
/// </param>
internal sealed record Contender(string Name, int Steps, int OperationsPerStep, Func<Range, int> Run)
{
    /// <summary>Whether doing the work a second time is other work, as inserting is.</summary>
    public bool IsOnce { get; init; }

    /// <summary>Whether it takes so long that one pass a round is enough.</summary>
    public bool IsSlow { get; init; }

    /// <summary>Called before each round, outside the measured time.</summary>
    public Action Prepare { get; init; } = static () => { };

    /// <summary>Called after each round, outside the measured time.</summary>
    public Action Finish { get; init; } = static () => { };
}
