using System.Diagnostics;

namespace KvStore.Configuration;

/// <summary>The entries of a namespace that are configuration, and the keys and values that they make together.</summary>
/// <remarks>Thread safety: all members, from any thread, because a reader that was stopped may still be at work.</remarks>
internal sealed class ConfigurationEntries
{
    private readonly Lock _lock = new();

    // In the order of their keys, so that the winner of a collision does not depend on the order of changes.
    private readonly SortedDictionary<string, ConfigurationEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>The entry of a key; null when there is none.</summary>
    public ConfigurationEntry? Find(string key)
    {
        lock (_lock)
        {
            return _entries.GetValueOrDefault(key);
        }
    }

    /// <summary>Sets the entry of a key.</summary>
    /// <returns>Whether its keys or values are others than before.</returns>
    public bool Set(string key, ConfigurationEntry entry)
    {
        lock (_lock)
        {
            var before = _entries.GetValueOrDefault(key)?.Values ?? [];
            _entries[key] = entry;
            return !before.AsSpan().SequenceEqual(entry.Values);
        }
    }

    /// <summary>Removes the entry of a key.</summary>
    /// <returns>Whether it had keys and values.</returns>
    public bool Remove(string key)
    {
        lock (_lock)
        {
            return _entries.Remove(key, out var entry) && entry.Values.Length > 0;
        }
    }

    /// <summary>Puts the keys and values of all entries together. Of two entries with one key, the later one in ordinal order wins.</summary>
    /// <param name="collisions">Pairs of entries that have a key in common: the one that does not count, and the one that does.</param>
    public Dictionary<string, string?> Merge(out HashSet<(string Loser, string Winner)> collisions)
    {
        var merged = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        HashSet<string>? collided = null;
        lock (_lock)
        {
            foreach (var (path, value) in _entries.Values.SelectMany(static entry => entry.Values))
            {
                if (!merged.TryAdd(path, value))
                {
                    merged[path] = value;
                    (collided ??= new(StringComparer.OrdinalIgnoreCase)).Add(path);
                }
            }

            collisions = collided is null ? [] : CollisionsOfHoldingLock(collided);
        }

        return merged;
    }

    // Seldom needed, so that the owner of each path is not remembered while merging.
    private HashSet<(string Loser, string Winner)> CollisionsOfHoldingLock(HashSet<string> paths)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var owners = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var collisions = new HashSet<(string, string)>();
        foreach (var (key, entry) in _entries)
        {
            foreach (var (path, _) in entry.Values)
            {
                if (!paths.Contains(path))
                {
                    continue;
                }

                if (owners.TryGetValue(path, out var owner))
                {
                    collisions.Add((owner, key));
                }

                owners[path] = key;
            }
        }

        return collisions;
    }
}
