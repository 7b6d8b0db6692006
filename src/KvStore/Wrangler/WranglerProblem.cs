namespace KvStore.Wrangler;

/// <summary>What is wrong with a Wrangler file, and where. The message names bindings and environments and quotes nothing else.</summary>
internal readonly record struct WranglerProblem(WranglerProblemKind Kind, FilePosition Position, string Message);
