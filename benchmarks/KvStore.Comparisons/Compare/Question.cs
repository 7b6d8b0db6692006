namespace KvStore.Comparisons.Compare;

/// <summary>Something to find out, with stores of its own.</summary>
/// <param name="Name">Its name, for <c>--filter</c> and for the progress line.</param>
/// <param name="Ask">Finds it out.</param>
internal sealed record Question(string Name, Action<Session> Ask);

/// <summary>A run: what was asked for, what has been found, and how far it is.</summary>
internal sealed record Session(CompareOptions Options, Report Report, Progress Progress);
