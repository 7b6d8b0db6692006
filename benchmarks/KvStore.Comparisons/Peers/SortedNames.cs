namespace KvStore.Comparisons.Peers;

/// <summary>Pages of names from sorted structures. The names exist as strings; none is created.</summary>
internal static class SortedNames
{
    /// <summary>A sorted array: the first name by binary search, the rest in order. Cannot be written.</summary>
    public static int ListArray(string[] sorted, ReadOnlySpan<string> starts, int limit)
    {
        var names = 0;
        foreach (var start in starts)
        {
            var found = Array.BinarySearch(sorted, start, StringComparer.Ordinal);
            var first = found < 0 ? ~found : found;
            names += sorted[first..Math.Min(first + limit, sorted.Length)].Length;
        }

        return names;
    }

    /// <summary>A red-black tree: a view from the first name on, enumerated. Not safe with a writer.</summary>
    public static int ListSet(SortedSet<string> sorted, ReadOnlySpan<string> starts, int limit)
    {
        var names = 0;
        foreach (var start in starts)
        {
            var page = new List<string>(limit);
            foreach (var name in sorted.GetViewBetween(start, sorted.Max))
            {
                page.Add(name);
                if (page.Count == limit)
                {
                    break;
                }
            }

            names += page.Count;
        }

        return names;
    }

    /// <summary>A list without an order: all names, filtered by prefix and sorted.</summary>
    public static int FilterUnordered(IEnumerable<string> names, ReadOnlySpan<string> prefixes, int limit)
    {
        var count = 0;
        foreach (var prefix in prefixes)
        {
            count += names.Where(name => name.StartsWith(prefix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal).Take(limit).ToArray().Length;
        }

        return count;
    }
}
