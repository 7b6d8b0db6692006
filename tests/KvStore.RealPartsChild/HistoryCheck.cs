namespace KvStore.RealPartsChild;

/// <summary>Which states of a namespace a history allows.</summary>
internal static class HistoryCheck
{
    /// <summary>Says what in a state cannot be.</summary>
    /// <param name="basis">What was there before the history: keys, and the call that put each.</param>
    /// <param name="calls">The history.</param>
    /// <param name="found">The state: keys, and the call that put each.</param>
    /// <param name="from">The earliest moment that the state may be of.</param>
    /// <param name="to">The latest.</param>
    /// <remarks>
    /// For each key the state shows one of the calls that took effect or may have: acknowledged, or without an answer. None
    /// that an acknowledged call hides, which began after it had ended, and ended before the state was taken. None that
    /// was refused.
    /// </remarks>
    public static List<string> Violations(
        IReadOnlyDictionary<string, long> basis,
        IEnumerable<Call> calls,
        IReadOnlyDictionary<string, long> found,
        long from = long.MaxValue,
        long to = long.MaxValue)
    {
        var violations = new List<string>();
        var byKey = calls.ToLookup(call => call.Key, StringComparer.Ordinal);
        var keys = basis.Keys.Concat(byKey.Select(group => group.Key)).Concat(found.Keys).ToHashSet(StringComparer.Ordinal);
        foreach (var key in keys.Order(StringComparer.Ordinal))
        {
            var its = byKey[key].ToArray();
            var effective = its.Where(call => call.Outcome != Outcome.Refused && call.Begin < to).ToArray();
            var isAbsent = !found.TryGetValue(key, out var id);
            var possible = effective.Where(call => isAbsent ? call.IsDelete : call.Id == id && !call.IsDelete).Any(call => !IsHidden(call.End))
                || (!IsHidden(-1) && (isAbsent ? !basis.ContainsKey(key) : basis.TryGetValue(key, out var before) && before == id));
            if (possible)
            {
                continue;
            }

            var shown = its.FirstOrDefault(call => call.Id == id && !isAbsent);
            var what = isAbsent ? "is not there"
                : shown is { Outcome: Outcome.Refused } ? $"shows call {id}, which was refused"
                : $"shows call {id}, which is not the newest";
            violations.Add($"{key} {what}; before: {(basis.TryGetValue(key, out var was) ? was : "nothing")}; last calls: {string.Join("; ", its.TakeLast(5))}");

            bool IsHidden(long end) => its.Any(other => other.Outcome == Outcome.Acknowledged && other.Begin > end && other.End < from);
        }

        return violations;
    }
}
