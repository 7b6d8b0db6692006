namespace KvStore.PostgreSql.Tests.Processes;

/// <summary>
/// Decides whether the conditional writes of a key are linearizable. Every value is written once and every write names the value that it
/// replaced, so the order is given: the writes that happened are one chain from nothing to the value at the end.
/// </summary>
internal static class ConditionalHistory
{
    /// <summary>What is wrong; empty when nothing is.</summary>
    /// <param name="writes">All writes of the key.</param>
    /// <param name="finalId">The value of the key at the end; "-" for no entry.</param>
    public static IReadOnlyList<string> Check(IReadOnlyCollection<Replacement> writes, string finalId)
    {
        var violations = new List<string>();
        var chain = ChainOf(writes, finalId, violations);
        var isIn = chain.Select(static write => write.Id).ToHashSet(StringComparer.Ordinal);
        violations.AddRange(
            from write in writes
            where write.Revision is not null && !isIn.Contains(write.Id)
            select $"{write.Id} was acknowledged and is lost: it replaced {write.ExpectedId}");
        CheckOrder(chain, violations);
        foreach (var write in writes.Where(static write => write.RefusedBy is not null))
        {
            CheckRefusal(write, chain, violations);
        }

        return violations;
    }

    private static List<Replacement> ChainOf(IReadOnlyCollection<Replacement> writes, string finalId, List<string> violations)
    {
        var byId = writes.ToDictionary(static write => write.Id, StringComparer.Ordinal);
        var chain = new List<Replacement>();
        for (var id = finalId; id != "-"; id = chain[^1].ExpectedId)
        {
            if (!byId.TryGetValue(id, out var write) || write.RefusedBy is not null)
            {
                violations.Add($"{id} was {(write is null ? "never written" : "refused")} and is there");
                break;
            }

            chain.Add(write);
            if (chain.Count > writes.Count)
            {
                violations.Add($"{id} replaced itself");
                break;
            }
        }

        chain.Reverse();
        return chain;
    }

    // Revisions grow, each write replaced the newest one, and no write that had ended comes after one that began later.
    private static void CheckOrder(List<Replacement> chain, List<string> violations)
    {
        var (revision, began) = (0L, long.MinValue);
        long? replaced = 0;
        foreach (var write in chain)
        {
            if (write.Revision <= revision)
            {
                violations.Add($"{write.Id} has the revision {write.Revision} after {revision}");
            }

            if (replaced is { } newest && write.Expected != newest)
            {
                violations.Add($"{write.Id} expected {write.Expected} and replaced {newest}");
            }

            if (write.Ended < began)
            {
                violations.Add($"{write.Id} ended before a write began that it replaced");
            }

            replaced = write.Revision;
            revision = write.Revision ?? revision;
            began = Math.Max(began, write.Began);
        }
    }

    // What refused a write was the newest one at some moment of the call.
    private static void CheckRefusal(Replacement write, List<Replacement> chain, List<string> violations)
    {
        if (write.RefusedBy == write.Expected)
        {
            violations.Add($"{write.Id} was refused by {write.RefusedBy}, which it expected");
            return;
        }

        var by = chain.FindIndex(other => other.Revision == write.RefusedBy);
        if (by < 0)
        {
            if (chain.All(static other => other.Revision is not null))
            {
                violations.Add($"{write.Id} was refused by {write.RefusedBy}, which nobody wrote");
            }
        }
        else if (chain[by].Began > write.Ended)
        {
            violations.Add($"{write.Id} was refused by {write.RefusedBy}, which came later");
        }
        else if (by + 1 < chain.Count && chain[by + 1].Ended < write.Began)
        {
            violations.Add($"{write.Id} was refused by {write.RefusedBy}, which had been replaced before");
        }
    }
}
