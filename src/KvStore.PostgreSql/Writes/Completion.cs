namespace KvStore.PostgreSql.Writes;

/// <summary>Completes writes that are committed.</summary>
internal static class Completion
{
    /// <summary>Completes writes when nothing else is to be done: what waits for a single one goes on in this call, which saves a change of threads.</summary>
    public static void RunAtEnd(List<(QueuedWrite Write, KvEngineOutcome Outcome)> outcomes)
    {
        if (outcomes is [{ Write.Superseded: null } only])
        {
            only.Write.CompleteHere(only.Outcome);
        }
        else
        {
            Run(outcomes);
        }
    }

    /// <summary>Completes writes in the thread pool. One thread does so for all writes of a call, and publishes them.</summary>
    public static void Run(List<(QueuedWrite Write, KvEngineOutcome Outcome)> outcomes)
    {
        for (var i = 0; i < outcomes.Count; i++)
        {
            var (write, outcome) = outcomes[i];
            if (write.Write.Group is not { } group || write.Superseded is not null)
            {
                write.Complete(outcome);
                continue;
            }

            var first = i;
            while (i + 1 < outcomes.Count && outcomes[i + 1].Write is { Superseded: null } next && next.Write.Group == group)
            {
                i++;
            }

            ThreadPool.UnsafeQueueUserWorkItem(
                static part =>
                {
                    foreach (var (write, outcome) in part)
                    {
                        write.CompleteHere(outcome);
                    }
                },
                outcomes.GetRange(first, i + 1 - first), preferLocal: false);
        }
    }
}
