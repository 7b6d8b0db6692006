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
/// <para><see cref="Save"/> hands out what a restart needs, as pairs of a revision and a time, and <see cref="Load"/> takes them.</para>
/// <para>Thread safety: all members but <see cref="Load"/>, from any thread. A use that was recorded before takes no lock and allocates nothing.</para>
/// </remarks>
internal sealed class LastUses
{
    /// <summary>The least time between two touches of an entry, in milliseconds, so that readers of one key do not all touch it.</summary>
    private const long TouchInterval = 1000;

    /// <summary>The time between two sweeps, in milliseconds.</summary>
    private const long SweepInterval = 60_000;

    private const int PairBytes = 2 * sizeof(long);

    private readonly ConcurrentDictionary<string, Use> _uses = new(StringComparer.Ordinal);
    private readonly Dictionary<long, long> _saved = [];
    private long _nextSweep;

    /// <summary>The number of entries of which a use is known.</summary>
    public int Count => _uses.Count;

    /// <summary>When an entry was last used; null when that is not known.</summary>
    /// <param name="key">The key.</param>
    /// <param name="revision">The revision of the entry, by which a use from before a restart is found.</param>
    public long? Of(string key, long revision) =>
        _uses.TryGetValue(key, out var use) && use.Time is var time and not Use.Retired ? time
        : _saved.TryGetValue(revision, out var saved) ? saved
        : null;

    /// <summary>Records a use. A use that is earlier than the last one changes nothing.</summary>
    /// <param name="key">The key.</param>
    /// <param name="now">When the entry was used.</param>
    /// <param name="window">For how long that matters, in milliseconds.</param>
    /// <param name="needsTouch">Whether the store has to learn of the use.</param>
    /// <returns>Whether the caller shall touch the entry: it needs a touch, and no other caller has just begun one.</returns>
    public bool Record(string key, long now, long window, bool needsTouch)
    {
        Use? use;
        while (!_uses.TryGetValue(key, out use) || !use.TryRecord(now, window))
        {
            // A sweep retired it: a new one takes its place.
            _ = use is null ? _uses.TryAdd(key, new Use(now, window)) : _uses.TryUpdate(key, new Use(now, window), use);
        }

        SweepNowAndThen(now);
        return needsTouch && use.TryBeginTouch(now, TouchInterval);
    }

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

    /// <summary>The uses as pairs of revision and time, in pieces of at most <paramref name="pairsMax"/>.</summary>
    /// <param name="now">The time.</param>
    /// <param name="revisionOf">Finds the revision of the entry that a key has; null when the use need not be saved.</param>
    /// <param name="pairsMax">The most pairs of a piece.</param>
    public IReadOnlyList<byte[]> Save(long now, Func<string, long, long?> revisionOf, int pairsMax)
    {
        var piece = new List<byte>();
        Span<byte> pair = stackalloc byte[PairBytes];
        var pieces = new List<byte[]>();
        Sweep(now);
        foreach (var (key, use) in _uses)
        {
            var time = use.Time;
            if (time != Use.Retired && revisionOf(key, time) is { } revision)
            {
                BinaryPrimitives.WriteInt64LittleEndian(pair, revision);
                BinaryPrimitives.WriteInt64LittleEndian(pair[sizeof(long)..], time);
                piece.AddRange(pair);
                if (piece.Count == pairsMax * PairBytes)
                {
                    pieces.Add([.. piece]);
                    piece.Clear();
                }
            }
        }

        if (piece.Count > 0)
        {
            pieces.Add([.. piece]);
        }

        return pieces;
    }

    /// <summary>Takes a piece that <see cref="Save"/> made. Call it before the first use is recorded, from one thread.</summary>
    /// <param name="piece">The piece. Of one that is cut off the whole pairs are taken.</param>
    public void Load(ReadOnlySpan<byte> piece)
    {
        Debug.Assert(_uses.IsEmpty);
        for (; piece.Length >= PairBytes; piece = piece[PairBytes..])
        {
            _saved[BinaryPrimitives.ReadInt64LittleEndian(piece)] = BinaryPrimitives.ReadInt64LittleEndian(piece[sizeof(long)..]);
        }
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

    /// <summary>The last use of one key.</summary>
    private sealed class Use(long time, long window)
    {
        /// <summary>The time of a use that a sweep is about to remove.</summary>
        public const long Retired = long.MinValue;

        private long _time = time;
        private long _window = window;
        private long _nextTouch = long.MinValue;

        public long Time => Volatile.Read(ref _time);

        /// <summary>Records a later use, unless this is retired.</summary>
        public bool TryRecord(long now, long window)
        {
            if (Volatile.Read(ref _window) != window)
            {
                Volatile.Write(ref _window, window);
            }

            while (true)
            {
                var last = Time;
                if (last == Retired)
                {
                    return false;
                }

                // Many readers of one key in one millisecond write once.
                if (last >= now || Interlocked.CompareExchange(ref _time, now, last) == last)
                {
                    return true;
                }
            }
        }

        public bool TryRetire(long now)
        {
            var last = Time;
            return last + Volatile.Read(ref _window) <= now && Interlocked.CompareExchange(ref _time, Retired, last) == last;
        }

        public bool TryBeginTouch(long now, long interval)
        {
            var next = Volatile.Read(ref _nextTouch);
            return now >= next && Interlocked.CompareExchange(ref _nextTouch, now + interval, next) == next;
        }
    }
}
