using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;

namespace KvStore.Distributed;

/// <summary>
/// When entries that slide were last used, to the millisecond. The store learns of a use only now and then (a touch), because most uses
/// leave its deadline late enough.
/// </summary>
/// <remarks>
/// <para>A use is kept by the key, and counts for any version of the entry that was set before it. What is known of an entry that is gone is
/// removed by <see cref="Sweep"/>.</para>
/// <para><see cref="Save"/> hands out what a restart needs, by the revisions of entries, and <see cref="Load"/> takes it.</para>
/// <para>Thread safety: all members but <see cref="Load"/>, from any thread. A use that was recorded before takes no lock and allocates nothing.</para>
/// </remarks>
internal sealed class LastUses
{
    /// <summary>The time between two sweeps, in milliseconds.</summary>
    private const long SweepInterval = 60_000;

    // Revision, time, end.
    private const int SavedBytes = 3 * sizeof(long);

    private readonly ConcurrentDictionary<string, LastUse> _uses = new(StringComparer.Ordinal);
    private readonly Dictionary<long, SavedUse> _saved = [];
    private long _nextSweep;

    /// <summary>The number of entries of which a use is known.</summary>
    public int Count => _uses.Count;

    /// <summary>When an entry was last used; null when that is not known.</summary>
    /// <param name="key">The key.</param>
    /// <param name="revision">The revision of the entry, by which a use from before a restart is found.</param>
    public long? Of(string key, long revision) =>
        _uses.TryGetValue(key, out var use) && use.Time is var time and not LastUse.Retired ? time
        : _saved.TryGetValue(revision, out var saved) ? saved.Time
        : null;

    /// <summary>The touch of an entry that has not completed; null when there is none. It never fails.</summary>
    public Task? TouchOf(string key) => _uses.TryGetValue(key, out var use) ? use.Touch : null;

    /// <summary>Records a use. A use that is earlier than the last one changes nothing.</summary>
    /// <param name="key">The key.</param>
    /// <param name="now">When the entry was used.</param>
    /// <param name="window">For how long that matters, in milliseconds.</param>
    /// <returns>The last use, by which the caller touches the entry where it needs one.</returns>
    public LastUse Record(string key, long now, long window)
    {
        LastUse? use;
        while (!_uses.TryGetValue(key, out use) || !use.TryRecord(now, window))
        {
            // A sweep retired it: a new one takes its place.
            _ = use is null ? _uses.TryAdd(key, new LastUse(now, window)) : _uses.TryUpdate(key, new LastUse(now, window), use);
        }

        SweepNowAndThen(now);
        return use;
    }

    /// <summary>The touches that have not completed. None of them fails.</summary>
    public Task WhenTouchedAsync() => Task.WhenAll(_uses.Values.Select(static use => use.Touch).OfType<Task>());

    /// <summary>Forgets the uses of a key that was removed.</summary>
    public void Forget(string key) => _uses.TryRemove(key, out _);

    /// <summary>Forgets the uses of entries that are gone.</summary>
    /// <param name="now">The time.</param>
    public void Sweep(long now)
    {
        foreach (var pair in _uses)
        {
            if (pair.Value.TryRetire(now))
            {
                _uses.TryRemove(pair);
            }
        }
    }

    /// <summary>The uses that still matter, in pieces. Among them are those of before, for entries that were not used since.</summary>
    /// <param name="now">The time.</param>
    /// <param name="find">Finds the revision of the entry that a key has, and its end after a use at a time; null when the use need not be saved.</param>
    /// <param name="countMax">The most uses of a piece.</param>
    public SavedPieces Save(long now, Func<string, long, (long Revision, long End)?> find, int countMax)
    {
        var uses = _saved.Where(saved => saved.Value.End > now).ToDictionary();
        foreach (var (key, use) in _uses)
        {
            if (use.Time is var time and not LastUse.Retired && find(key, time) is { } entry)
            {
                uses[entry.Revision] = new SavedUse(time, entry.End);
            }
        }

        return new SavedPieces(
            [.. uses.Chunk(countMax).Select(static chunk => PieceOf(chunk))], uses.Values.Select(static use => use.End).DefaultIfEmpty(now).Max());
    }

    /// <summary>Takes a piece that <see cref="Save"/> made. Call it before the first use is recorded, from one thread.</summary>
    /// <param name="piece">The piece. Of one that is cut off the whole uses are taken.</param>
    /// <param name="now">The time; what has ended is left out.</param>
    public void Load(ReadOnlySpan<byte> piece, long now)
    {
        Debug.Assert(_uses.IsEmpty);
        for (; piece.Length >= SavedBytes; piece = piece[SavedBytes..])
        {
            var use = new SavedUse(
                BinaryPrimitives.ReadInt64LittleEndian(piece[sizeof(long)..]), BinaryPrimitives.ReadInt64LittleEndian(piece[(2 * sizeof(long))..]));
            if (use.End > now)
            {
                _saved[BinaryPrimitives.ReadInt64LittleEndian(piece)] = use;
            }
        }
    }

    private static byte[] PieceOf(KeyValuePair<long, SavedUse>[] uses)
    {
        var piece = new byte[uses.Length * SavedBytes];
        var rest = piece.AsSpan();
        foreach (var (revision, use) in uses)
        {
            BinaryPrimitives.WriteInt64LittleEndian(rest, revision);
            BinaryPrimitives.WriteInt64LittleEndian(rest[sizeof(long)..], use.Time);
            BinaryPrimitives.WriteInt64LittleEndian(rest[(2 * sizeof(long))..], use.End);
            rest = rest[SavedBytes..];
        }

        return piece;
    }

    private void SweepNowAndThen(long now)
    {
        var next = Volatile.Read(ref _nextSweep);
        if (now >= next && Interlocked.CompareExchange(ref _nextSweep, now + SweepInterval, next) == next && next != 0)
        {
            // Not on the thread of a request: there may be many.
            ThreadPool.UnsafeQueueUserWorkItem(static state => state.Uses.Sweep(state.Now), (Uses: this, Now: now), preferLocal: false);
        }
    }

    /// <summary>What <see cref="Save"/> hands out.</summary>
    /// <param name="Pieces">The pieces.</param>
    /// <param name="End">When the last of them ceases to matter.</param>
    internal readonly record struct SavedPieces(IReadOnlyList<byte[]> Pieces, long End);

    private readonly record struct SavedUse(long Time, long End);
}
