namespace KvStore.PostgreSql.Feed;

/// <summary>The sequence of the revisions was set back by hand, so that later writes would lose against earlier ones.</summary>
internal sealed class SequenceResetException(long last, long highest) : KvPersistenceException(
    Invariant($"The sequence \"revisions\" stands at {last}, and the revision {highest} was given before: somebody has set it back. ")
    + Invariant($"Set it forward: SELECT setval('revisions', {highest + 1000}) with the name of the schema."));
