using Microsoft.FeatureManagement;

namespace KvStore.Definitions;

/// <summary>The definitions of all features at one moment.</summary>
/// <remarks>Thread safety: all members, from any thread; it does not change. The tasks are made once, so that a lookup allocates nothing.</remarks>
internal sealed class FeatureDefinitions
{
    private static readonly Task<FeatureDefinition> s_none = Task.FromResult<FeatureDefinition>(null!);

    private readonly Dictionary<string, Task<FeatureDefinition>> _byName;

    private FeatureDefinitions(IReadOnlyList<FeatureDefinition> all, Dictionary<string, Task<FeatureDefinition>> byName)
    {
        All = all;
        _byName = byName;
    }

    /// <summary>The definitions, in the order of their keys in the namespace.</summary>
    public IReadOnlyList<FeatureDefinition> All { get; }

    /// <summary>Puts the definitions of entries together. Of two entries with one name, the later one in ordinal order of the keys counts.</summary>
    /// <param name="entries">The entries by key, in ordinal order.</param>
    /// <param name="before">The definitions before, whose tasks are taken over where nothing changed; null for none.</param>
    /// <param name="collisions">Pairs of keys that define one feature: the one that does not count, and the one that does.</param>
    public static FeatureDefinitions Of(
        SortedDictionary<string, FeatureEntry> entries, FeatureDefinitions? before, out HashSet<(string Loser, string Winner)> collisions)
    {
        collisions = [];
        var owners = new OrderedDictionary<string, (string Key, FeatureDefinition Definition)>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, entry) in entries)
        {
            if (entry.Definition is not { } definition)
            {
                continue;
            }

            if (owners.TryGetValue(definition.Name, out var owner))
            {
                collisions.Add((owner.Key, key));
            }

            owners[definition.Name] = (key, definition);
        }

        return new FeatureDefinitions(
            [.. owners.Values.Select(static owner => owner.Definition)],
            owners.ToDictionary(
                static owner => owner.Key, owner => before?.TaskOf(owner.Value.Definition) ?? Task.FromResult(owner.Value.Definition), StringComparer.OrdinalIgnoreCase));
    }

    /// <summary>The definition of a feature; null when there is none.</summary>
    public Task<FeatureDefinition> Find(string name, out bool isFound)
    {
        isFound = _byName.TryGetValue(name, out var definition);
        return isFound ? definition! : s_none;
    }

    private Task<FeatureDefinition>? TaskOf(FeatureDefinition definition) =>
        _byName.TryGetValue(definition.Name, out var task) && ReferenceEquals(task.Result, definition) ? task : null;
}
