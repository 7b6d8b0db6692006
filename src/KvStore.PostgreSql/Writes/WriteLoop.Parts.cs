namespace KvStore.PostgreSql.Writes;

/// <content>Transactions that failed, and of which a part goes on.</content>
internal sealed partial class WriteLoop
{
    private const double WorthwhileShare = 0.9;

    private ValueTask<List<(QueuedWrite Write, KvEngineOutcome Outcome)>> CommitInTimeAsync(WriteLane lane, List<QueuedWrite> writes, KvPersistenceException failure)
    {
        var waiting = new List<QueuedWrite>();
        foreach (var write in writes)
        {
            // With little time left, another attempt would not change much.
            if (TimeProvider.System.GetElapsedTime(write.QueuedAt) < _timeout * WorthwhileShare)
            {
                waiting.Add(write);
            }
            else
            {
                write.Fail(failure);
            }
        }

        waiting = QueuedWrite.WithoutFailed(waiting);
        return waiting.Count > 0 ? CommitAsync(lane, waiting) : new([]);
    }

    private async ValueTask<List<(QueuedWrite Write, KvEngineOutcome Outcome)>> CommitInPartsAsync(WriteLane lane, List<QueuedWrite> writes, Exception refusal)
    {
        if (writes is [{ Superseded: not null } refused])
        {
            writes = [refused.FailAlone(FailureOf(refusal))!];
        }

        var outcomes = new List<(QueuedWrite Write, KvEngineOutcome Outcome)>(writes.Count);
        foreach (var part in writes.Chunk((writes.Count + 1) / 2))
        {
            var sound = QueuedWrite.WithoutFailed(part);
            if (sound.Count > 0)
            {
                outcomes.AddRange(await CommitAsync(lane, sound).ConfigureAwait(false));
            }
        }

        return outcomes;
    }
}
