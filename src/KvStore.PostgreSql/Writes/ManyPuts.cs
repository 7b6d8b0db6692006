using System.Diagnostics;
using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using Npgsql;
using NpgsqlTypes;
using static KvStore.PostgreSql.Writes.StatementBatch;

namespace KvStore.PostgreSql.Writes;

/// <summary>The puts of a transaction that has many of them: see <see cref="WriteTransaction"/>.</summary>
/// <remarks>
/// The order of the statements matters. Rows are locked before revisions are taken, so that a revision is higher than the one that it
/// replaces. An entry without a row has no revision that could be higher: the row of a deleted entry stays longer than any statement runs, and
/// that of an expired one until this transaction has ended. Not thread-safe.
/// </remarks>
internal sealed class ManyPuts(WriteStatements statements, int number, DatabaseClock clock, List<QueuedWrite> puts, bool expectsRows)
{
    /// <summary>With fewer puts, the round trips cost more than they save.</summary>
    public const int From = 500;

    /// <summary>The first refusal is about rows that memory does not know. After another one somebody inserts the same keys now.</summary>
    public const int RefusalsMax = 1;

    private readonly HashSet<ReadOnlyMemory<byte>> _rows = new(ByteKeys.Comparer);
    private readonly List<QueuedWrite> _updated = [];
    private readonly List<long> _updatedRevisions = [];
    private long[] _revisions = [];

    /// <summary>Whether some keys may have rows, which have to be locked first.</summary>
    public bool ExpectsRows => expectsRows;

    /// <summary>Whether an exception says that a key had a row.</summary>
    public static bool IsRefusal(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation, TableName: "entries" };

    /// <summary>Notes a key that has a row, which is locked.</summary>
    public void NoteRow(NpgsqlDataReader reader) => _rows.Add(reader.GetFieldValue<byte[]>(0));

    /// <summary>Takes a revision for each put.</summary>
    public void AddRevisions(StatementBatch batch)
    {
        batch.Add(static _ => { }, statements.KeepExpired, Parameter(number, NpgsqlDbType.Integer));
        batch.Add(reader => _revisions = reader.GetFieldValue<long[]>(0), statements.TakeRevisions, Parameter(puts.Count, NpgsqlDbType.Integer));
    }

    /// <summary>Inserts the entries that have no rows.</summary>
    public async ValueTask CopyAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        Debug.Assert(_revisions.Length == puts.Count && _revisions.Zip(_revisions.Skip(1)).All(static pair => pair.First < pair.Second), "Revisions grow.");
        var inserted = new List<(QueuedWrite Write, long Revision)>(puts.Count);
        for (var i = 0; i < puts.Count; i++)
        {
            if (_rows.Contains(puts[i].Key))
            {
                _updated.Add(puts[i]);
                _updatedRevisions.Add(_revisions[i]);
            }
            else
            {
                inserted.Add((puts[i], _revisions[i]));
            }
        }

        if (inserted.Count > 0)
        {
            inserted.Sort(static (x, y) => x.Write.Key.Span.SequenceCompareTo(y.Write.Key.Span));
            await new EntryCopy(statements.Copy, number, clock).RunAsync(connection, inserted, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Updates the rows, and notes the changes.</summary>
    public void AddRest(StatementBatch batch)
    {
        if (_updated.Count > 0)
        {
            batch.Add(
                read: null,
                statements.Update,
                [
                    .. WriteTransaction.EntriesOf(_updated, number, clock),
                    new NpgsqlParameter { Value = _updatedRevisions.ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint },
                ]);
        }

        batch.Add(
            read: null,
            statements.AddChanges,
            Parameter(number, NpgsqlDbType.Integer),
            KeysOf(puts),
            new NpgsqlParameter { Value = _revisions, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint });
    }

    /// <summary>The transaction is committed.</summary>
    public void Complete(Dictionary<ReadOnlyMemory<byte>, (long Revision, long Touched)> made)
    {
        for (var i = 0; i < puts.Count; i++)
        {
            made[puts[i].Key] = (_revisions[i], 0);
        }
    }
}
