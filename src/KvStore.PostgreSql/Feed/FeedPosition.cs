using System.Globalization;
using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Sweeping;

namespace KvStore.PostgreSql.Feed;

/// <summary>How far a feed has read: which transactions were visible, and which files had the changes.</summary>
/// <remarks>
/// The sweeper empties partitions whose changes every process has read, and says so before. Somebody else who empties a partition, or a sweeper
/// that was suspended on its way, does not. <c>TRUNCATE</c> gives a partition another file, so the feed compares those of the partitions that no
/// sweeper empties meanwhile.
/// </remarks>
/// <param name="Snapshot">The snapshot, as PostgreSQL writes a <c>pg_snapshot</c>.</param>
/// <param name="Slot">The number of the time slot, which decides into which partition changes go.</param>
/// <param name="Files">The partitions with their files, as <see cref="FilesOf"/> lists them.</param>
internal readonly record struct FeedPosition(string Snapshot, long Slot, string Files)
{
    private const char Separator = ';';
    private const char FileSeparator = ',';

    // The sweeper empties those that come next. An interval may end between the question before and this one.
    private const int SlotsCompared = SchemaScript.Slots - Sweeper.SlotsAhead - 1;

    /// <summary>The expression of the number of the present slot.</summary>
    public static string SlotNow => Invariant($"floor(extract(epoch FROM now()) / {SchemaScript.SlotSeconds})::bigint");

    /// <summary>The expression of the files.</summary>
    public static string FilesOf(string schema) =>
        $"""
        coalesce((SELECT string_agg(c.relname || '/' || c.relfilenode, '{FileSeparator}' ORDER BY c.relname)
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '{schema}.changes'::regclass), '')
        """;

    /// <summary>
    /// The expression of whether the sweeper may have removed changes which a previous snapshot did not show. Those are of transactions before
    /// the floor that began after the snapshot, or that were open then and have ended. A partition in which an open one has written cannot be emptied.
    /// </summary>
    /// <param name="floor">The expression of the floor.</param>
    /// <param name="previous">The expression of the previous snapshot.</param>
    public static string IsBelowFloor(string floor, string previous) =>
        $"""
        ({floor} > pg_snapshot_xmax({previous}) OR EXISTS (
            SELECT 1 FROM pg_snapshot_xip({previous}) AS x (xid) WHERE x.xid < {floor} AND pg_visible_in_snapshot(x.xid, pg_current_snapshot())))
        """;

    /// <summary>Reads what <see cref="ToString"/> has written.</summary>
    public static FeedPosition Parse(string text)
    {
        var parts = text.Split(Separator);
        return new FeedPosition(parts[0], long.Parse(parts[1], CultureInfo.InvariantCulture), parts[2]);
    }

    /// <summary>Whether changes after this position may be gone without a word: a partition was emptied that no sweeper empties.</summary>
    /// <param name="files">The files that the partitions have now.</param>
    public bool HasLost(string files)
    {
        if (files == Files)
        {
            return false;
        }

        var now = files.Split(FileSeparator);
        foreach (var file in Files.Split(FileSeparator))
        {
            if (IsCompared(file) && !now.Contains(file, StringComparer.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    public override string ToString() => Invariant($"{Snapshot}{Separator}{Slot}{Separator}{Files}");

    private bool IsCompared(string file)
    {
        var name = file.Split('/')[0];
        for (var back = 0; back < SlotsCompared; back++)
        {
            if (name == Invariant($"changes_{(Slot - back) % SchemaScript.Slots}"))
            {
                return true;
            }
        }

        return false;
    }
}
