namespace KvStore.Watching;

/// <summary>
/// Knows which revisions had been seen at which time. Where revisions are given elsewhere, they arrive out of order: a watch that
/// has shown a revision may not have been shown a lower one of another key yet. So a watch that goes on after a revision begins somewhat
/// before it.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class RevisionHistory(TimeProvider timeProvider)
{
    /// <summary>The longest time for which a mutation is on its way here after it got its revision.</summary>
    public static readonly TimeSpan Delay = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_kept = TimeSpan.FromMinutes(30);

    private readonly Lock _lock = new();
    private readonly LinkedList<(long Timestamp, long Revision)> _seen = new();

    /// <summary>The history begins with a revision that no mutation from now on has.</summary>
    public void Begin(long revision)
    {
        lock (_lock)
        {
            _seen.Clear();
            _seen.AddLast((timeProvider.GetTimestamp(), revision));
        }
    }

    /// <summary>The highest revision that was seen is this by now.</summary>
    public void Note(long revision)
    {
        lock (_lock)
        {
            if (_seen.Last is not { } last || timeProvider.GetElapsedTime(last.Value.Timestamp) < s_interval)
            {
                return;
            }

            _seen.AddLast((timeProvider.GetTimestamp(), Math.Max(revision, last.Value.Revision)));
            while (_seen.First!.Next is { } second && timeProvider.GetElapsedTime(second.Value.Timestamp) > s_kept)
            {
                _seen.RemoveFirst();
            }
        }
    }

    /// <summary>The revision after which to show changes, so that a watch which has shown a revision misses nothing.</summary>
    /// <returns>That revision; null when too long ago, so that a watch must begin anew.</returns>
    public long? ResumeAfter(long shown)
    {
        lock (_lock)
        {
            if (_seen.First is not { } first || shown < first.Value.Revision)
            {
                return null;
            }

            // The first moment at which the revision had been seen.
            var node = _seen.Last!;
            while (node.Previous is { } previous && previous.Value.Revision >= shown)
            {
                node = previous;
            }

            // From there the delay back, to a lower revision: a removal that is no mutation may have the revision that was shown.
            var at = node.Value.Timestamp;
            while (node.Previous is { } previous
                && (node.Value.Revision >= shown || timeProvider.GetElapsedTime(node.Value.Timestamp, at) < Delay))
            {
                node = previous;
            }

            return node.Value.Revision;
        }
    }
}
