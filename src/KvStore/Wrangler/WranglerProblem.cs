namespace KvStore.Wrangler;

/// <summary>An error in a Wrangler file, and its position. The message names bindings and environments and quotes nothing else.</summary>
internal readonly record struct WranglerProblem(WranglerProblemKind Kind, FilePosition Position, string Message);
