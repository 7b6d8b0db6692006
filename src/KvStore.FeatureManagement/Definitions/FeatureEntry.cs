using Microsoft.FeatureManagement;

namespace KvStore.Definitions;

/// <summary>An entry of the namespace, and the definition of its last version that could be read.</summary>
/// <param name="Revision">The revision of the entry.</param>
/// <param name="Definition">The definition; null when no version could be read.</param>
internal sealed record FeatureEntry(long Revision, FeatureDefinition? Definition);
