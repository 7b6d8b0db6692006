namespace KvStore.Comparisons.Compare;

/// <summary>A measurement with stores of its own.</summary>
/// <param name="Name">Its name, for <c>--filter</c> and for the progress line.</param>
/// <param name="Ask">Runs the measurement.</param>
internal sealed record Question(string Name, Action<Session> Ask);

/// <summary>A run: its options, its report and its progress.</summary>
internal sealed record Session(CompareOptions Options, Report Report, Progress Progress);
