using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Order;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// The background work of a namespace: merging new keys into the ordered index, sweeping expired entries, cleaning
/// segments, shrinking tables.
/// </summary>
/// <remarks>
/// <para>A timer of the namespace's <see cref="TimeProvider"/> does all of it, inside the timer's call: under a test's clock that
/// is a moment the test chooses. It fires a second after the first change, and then each second until nothing changes and
/// nothing is left to do; then it waits for the next change or the next deadline. So an idle namespace costs nothing. Writers
/// ask for merging and cleaning in between, on the thread pool. One piece of work at a time.</para>
/// <para>What fails, because memory is short, is tried again with the next tick.</para>
/// <para>The timer does not keep the namespace alive.</para>
/// </remarks>
internal sealed class Maintenance : IDisposable, IThreadPoolWorkItem
{
    // Writers leave up to a third dead, so that little that lives has to be moved for what is won; the timer brings that down
    // to a sixth when they leave it the time.
    private const int OneInUnderLoad = 3;
    private const int OneInAtRest = 6;

    // So many mutations between two ticks, and what the timer moves would mostly be dead soon anyway.
    private const int BusyMutations = 50_000;

    // Writers who make records die as fast as they are cleaned up would keep the timer here, and nothing would be swept meanwhile. A small
    // step moves a thirty-second of the memory.
    private const int PassesMax = 8;
    private const int SmallPassesMax = PassesMax * 32;

    // More than what moves all that lives once: enough to make room where there is any.
    private const int PassesForRoomMax = 512;

    // One byte in two.
    private const int MostlyDead = 2;

    // Each run looks at a thirty-second of the memory or moves a segment. So by now everything was looked at as often as uses are counted.
    private const int PassesBeforeForceMin = 4 * 64;

    private static readonly TimeSpan s_period = TimeSpan.FromSeconds(1);

    // A clock may be set forward meanwhile; then what has expired is swept after this at the latest.
    private static readonly TimeSpan s_longestSleep = TimeSpan.FromHours(1);

    private readonly SegmentTable _segments;
    private readonly OrderedIndex _ordered;
    private readonly Action _trimIndexes;
    private readonly Func<long> _revision;
    private readonly CoarseClock _clock;
    private readonly Cleaner _cleaner;
    private readonly ExpirySweep _sweep;
    private readonly Action<Exception>? _onFailure;
    private readonly ITimer _timer;
    private readonly Lock _working = new();
    private readonly Lock _arming = new();
    private long _revisionAtTick;
    private int _isRequested;
    private int _isTicking;
    private volatile bool _isAwake;
    private volatile bool _isMergeWanted;
    private volatile bool _isCleaningWanted;
    private volatile bool _isHeld;
    private volatile bool _isDisposed;

    /// <param name="segments">The segments.</param>
    /// <param name="ordered">The ordered index.</param>
    /// <param name="cleaner">Cleans segments.</param>
    /// <param name="sweep">Removes expired entries.</param>
    /// <param name="trimIndexes">Frees the memory of indexes that have become too large.</param>
    /// <param name="revision">The highest revision, by which mutations are counted.</param>
    /// <param name="clock">The clock of expirations.</param>
    /// <param name="timeProvider">The clock of the timer.</param>
    /// <param name="onFailure">Called when the work fails; the work is tried again.</param>
    public Maintenance(
        SegmentTable segments,
        OrderedIndex ordered,
        Cleaner cleaner,
        ExpirySweep sweep,
        Action trimIndexes,
        Func<long> revision,
        CoarseClock clock,
        TimeProvider timeProvider,
        Action<Exception>? onFailure)
    {
        _segments = segments;
        _ordered = ordered;
        _trimIndexes = trimIndexes;
        _revision = revision;
        _clock = clock;
        _cleaner = cleaner;
        _sweep = sweep;
        _onFailure = onFailure;
        _timer = timeProvider.CreateTimer(
            static weak =>
            {
                if (((WeakReference<Maintenance>)weak!).TryGetTarget(out var maintenance))
                {
                    maintenance.Tick();
                }
            },
            new WeakReference<Maintenance>(this),
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>
    /// Evicts some entries, used ones too if it is forced, and returns whether more can be freed now; null where memory is not limited, or
    /// puts are refused instead.
    /// </summary>
    public Func<bool, bool>? EvictSome { get; init; }

    /// <summary>How many bytes should be evicted by now; 0 or less for none.</summary>
    public Func<long> BytesToEvict { get; init; } = static () => 0;

    /// <summary>Something has changed, which may give work. Cheap, and called with every mutation.</summary>
    public void NoteChange()
    {
        if (!_isAwake)
        {
            WakeUp();
        }
    }

    /// <summary>Requests that new keys are merged soon. Cheap, and may be called often.</summary>
    public void RequestMerge()
    {
        if (!_isMergeWanted)
        {
            _isMergeWanted = true;
            Request();
        }
    }

    /// <summary>Requests a check of how many bytes are dead.</summary>
    public void RequestCleaning()
    {
        if (!_isCleaningWanted)
        {
            _isCleaningWanted = true;
            Request();
        }
    }

    /// <summary>So many revisions are skipped, and are no mutations.</summary>
    public void SkipMutations(long revisions) => _revisionAtTick += revisions;

    /// <summary>
    /// Frees memory for a put that a budget has no room for, on the thread of the caller: sweeps, cleans, and shrinks the indexes, until
    /// there is room or nothing can be freed. Waits for work that is going on. Must not be called while holding a lock that this work
    /// takes.
    /// </summary>
    /// <param name="hasRoom">Whether there is room by now.</param>
    /// <param name="argument">Handed to it, so that it need not be made for each call.</param>
    /// <returns>Whether there is room.</returns>
    /// <exception cref="OutOfMemoryException">There was no memory for the work; nothing is lost.</exception>
    public bool MakeRoom<T>(Func<T, bool> hasRoom, in T argument)
    {
        lock (_working)
        {
            if (_isDisposed || hasRoom(argument))
            {
                // The put of a namespace that is disposed fails by itself.
                return true;
            }

            _sweep.Run();
            _ordered.Merge();
            for (var passes = 0; !hasRoom(argument); passes++)
            {
                if (passes == PassesForRoomMax || !(EvictSome is null ? _cleaner.RunForRoom() : Evict(passes)))
                {
                    _ordered.TrimBuffers();
                    _trimIndexes();
                    return hasRoom(argument);
                }
            }

            return true;
        }
    }

    /// <summary>Puts all work off until <see cref="Release"/>.</summary>
    public void Hold() => _isHeld = true;

    /// <summary>Goes on, with the work that was requested meanwhile.</summary>
    public void Release()
    {
        _isHeld = false;
        _isMergeWanted = true;
        _isCleaningWanted = true;
        Request();
        WakeUp();
    }

    // What is mostly dead is freed before anything is evicted. Readers may use entries again and again while uses are taken away, so some
    // time used ones leave too.
    private bool Evict(int passes) =>
        (_isHeld ? _cleaner.RunForRoom() : _cleaner.RunForRoom(MostlyDead)) || EvictSome!(passes >= PassesBeforeForceMin);

    // Returns how often something was evicted.
    private int EvictAhead()
    {
        if (EvictSome is null)
        {
            return 0;
        }

        var passes = 0;
        while (!_isDisposed && passes < PassesForRoomMax && BytesToEvict() > 0 && Evict(passes))
        {
            passes++;
        }

        return passes;
    }

    void IThreadPoolWorkItem.Execute()
    {
        Interlocked.Exchange(ref _isRequested, 0);
        _ = Guard(static maintenance =>
        {
            if (maintenance._isMergeWanted)
            {
                maintenance._isMergeWanted = false;
                maintenance._ordered.Merge();
            }

            if (maintenance._isCleaningWanted)
            {
                maintenance._isCleaningWanted = false;
                maintenance.Clean(
                    maintenance.EvictSome is null ? OneInUnderLoad : OneInAtRest, maintenance._cleaner.WorksInSteps ? SmallPassesMax : 1);
                maintenance.EvictAhead();
            }

            return true;
        });
    }

    /// <summary>Ends background work, once a piece that is going on is done.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        lock (_arming)
        {
            _timer.Dispose();
        }

        lock (_working)
        {
            // Nothing begins any more, and what had begun has ended.
        }
    }

    private void Tick()
    {
        lock (_arming)
        {
            // What changes from now on gives a tick of its own.
            _isAwake = false;
        }

        // One waits at the most, however long the work before takes.
        if (!_isHeld && Interlocked.Exchange(ref _isTicking, 1) == 0)
        {
            if (Guard(static maintenance => maintenance.DoAll()))
            {
                Sleep();
            }
            else
            {
                WakeUp();
            }
        }
    }

    // Returns whether nothing is left to do.
    private bool DoAll()
    {
        Interlocked.Exchange(ref _isTicking, 0);
        _sweep.Run();
        _ordered.Merge();
        var mutations = CountMutations();
        var isBusy = mutations > BusyMutations;
        var passes = Clean(isBusy ? OneInUnderLoad : OneInAtRest, _cleaner.WorksInSteps ? SmallPassesMax : PassesMax) + EvictAhead();
        _trimIndexes();
        _segments.KeepReserve();
        if (!isBusy)
        {
            _ordered.TrimBuffers();
        }

        return mutations == 0 && passes == 0;
    }

    // Until no more than that is dead, or nothing more can be won. Returns how often something was cleaned.
    private int Clean(int oneIn, int passesMax)
    {
        var passes = 0;
        while (!_isDisposed && passes < passesMax && _cleaner.Run(oneIn))
        {
            passes++;
        }

        return passes;
    }

    private long CountMutations()
    {
        var revision = _revision();
        var mutations = revision - _revisionAtTick;
        _revisionAtTick = revision;
        return mutations;
    }

    private void WakeUp()
    {
        lock (_arming)
        {
            if (!_isAwake && !_isDisposed)
            {
                _isAwake = true;
                _timer.Change(s_period, Timeout.InfiniteTimeSpan);
            }
        }
    }

    // Until the next change, or the next deadline.
    private void Sleep()
    {
        var deadline = _segments.NextDeadline;
        if (deadline == uint.MaxValue)
        {
            return;
        }

        var sleep = DateTimeOffset.FromUnixTimeSeconds(deadline) - _clock.TimeProvider.GetUtcNow();
        sleep = sleep < s_period ? s_period : sleep > s_longestSleep ? s_longestSleep : sleep;
        lock (_arming)
        {
            if (!_isAwake && !_isDisposed)
            {
                _timer.Change(sleep, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Request()
    {
        if (_isHeld || Interlocked.Exchange(ref _isRequested, 1) != 0)
        {
            return;
        }

        try
        {
            AllocationProbe.Before();
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
        catch (OutOfMemoryException)
        {
            // A mutation asked, and must not fail because of this: the tick does the same.
            Interlocked.Exchange(ref _isRequested, 0);
        }
    }

    // Returns what the work returns; false when it failed. Never throws: the caller is a timer or the thread pool, and an exception
    // there would end the process.
    private bool Guard(Func<Maintenance, bool> work)
    {
        lock (_working)
        {
            if (_isDisposed)
            {
                return true;
            }

            try
            {
                return work(this);
            }
            catch (Exception e) when (_onFailure is not null || e is OutOfMemoryException)
            {
                // The namespace goes on serving; what was not done is tried again with the next tick.
                _isMergeWanted = false;
                _isCleaningWanted = false;
                TryReport(e);
                return false;
            }
        }
    }

    private void TryReport(Exception e)
    {
        try
        {
            _onFailure?.Invoke(e);
        }
        catch (OutOfMemoryException)
        {
            // There is no memory for the report either.
        }
    }
}
