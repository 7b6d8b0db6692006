using KvStore.Expiry;

namespace KvStore.Engine;

/// <summary>
/// The background work of a namespace: merging new keys into the ordered index, sweeping expired entries, cleaning
/// segments, shrinking tables.
/// </summary>
/// <remarks>
/// A timer of the namespace's <see cref="TimeProvider"/> does all of it once a second, inside the timer's call: under a
/// test's clock that is a moment the test chooses. Writers ask for merging and cleaning in between, on the thread pool.
/// One piece of work at a time.
/// </remarks>
internal sealed class Maintenance : IDisposable, IThreadPoolWorkItem
{
    // Writers leave up to a third dead, so that little that lives has to be moved for what is won; the timer brings that down
    // to a sixth when they leave it the time.
    private const int OneInUnderLoad = 3;
    private const int OneInAtRest = 6;

    // So many mutations between two ticks, and what the timer moves would mostly be dead soon anyway.
    private const int BusyMutations = 50_000;

    // Writers who make records die as fast as they are cleaned up would keep the timer here, and nothing would be swept meanwhile.
    private const int PassesMax = 8;

    private static readonly TimeSpan s_period = TimeSpan.FromSeconds(1);

    private readonly ShardedStore _store;
    private readonly Cleaner _cleaner;
    private readonly ExpirySweep _sweep;
    private readonly Action<Exception>? _onFailure;
    private readonly ITimer _timer;
    private readonly Lock _working = new();
    private long _revisionAtTick;
    private int _isRequested;
    private int _isTicking;
    private volatile bool _isMergeWanted;
    private volatile bool _isCleaningWanted;
    private volatile bool _isHeld;
    private volatile bool _isDisposed;

    public Maintenance(ShardedStore store, CoarseClock clock, TimeProvider timeProvider, Action<Exception>? onFailure)
    {
        _store = store;
        _cleaner = new Cleaner(store);
        _sweep = new ExpirySweep(store, clock);
        _onFailure = onFailure;
        _timer = timeProvider.CreateTimer(static maintenance => ((Maintenance)maintenance!).Tick(), this, s_period, s_period);
    }

    /// <summary>Asks for new keys to be merged soon. Cheap, and may be called again and again.</summary>
    public void RequestMerge()
    {
        if (!_isMergeWanted)
        {
            _isMergeWanted = true;
            Request();
        }
    }

    /// <summary>Asks for a look at how much is dead.</summary>
    public void RequestCleaning()
    {
        if (!_isCleaningWanted)
        {
            _isCleaningWanted = true;
            Request();
        }
    }

    /// <summary>Does nothing until <see cref="Release"/>; what is asked for meanwhile waits.</summary>
    public void Hold() => _isHeld = true;

    /// <summary>Goes on, with what was asked for meanwhile.</summary>
    public void Release()
    {
        _isHeld = false;
        _isMergeWanted = true;
        _isCleaningWanted = true;
        Request();
    }

    void IThreadPoolWorkItem.Execute()
    {
        Interlocked.Exchange(ref _isRequested, 0);
        Guard(static maintenance =>
        {
            if (maintenance._isMergeWanted)
            {
                maintenance._isMergeWanted = false;
                maintenance._store.Ordered.Merge();
            }

            if (maintenance._isCleaningWanted)
            {
                maintenance._isCleaningWanted = false;
                maintenance._cleaner.Run(OneInUnderLoad);
            }
        });
    }

    /// <summary>Ends background work, once a piece that is going on is done.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        _timer.Dispose();
        lock (_working)
        {
            // Nothing begins any more, and what had begun has ended.
        }
    }

    private void Tick()
    {
        // One waits at the most, however long the work before takes.
        if (!_isHeld && Interlocked.Exchange(ref _isTicking, 1) == 0)
        {
            Guard(static maintenance => maintenance.DoAll());
        }
    }

    private void DoAll()
    {
        Interlocked.Exchange(ref _isTicking, 0);
        _sweep.Run();
        _store.Ordered.Merge();
        var isBusy = IsBusy();
        var passes = 0;
        while (!_isDisposed && passes < PassesMax && _cleaner.Run(isBusy ? OneInUnderLoad : OneInAtRest))
        {
            // Until no more than that is dead, or nothing more can be won.
            passes++;
        }

        _store.RefreshOrdered();
        _store.ShrinkTables();
        if (!isBusy)
        {
            _store.Ordered.TrimBuffers();
        }
    }

    private bool IsBusy()
    {
        var revision = _store.Revision;
        var mutations = revision - _revisionAtTick;
        _revisionAtTick = revision;
        return mutations > BusyMutations;
    }

    private void Request()
    {
        if (!_isHeld && Interlocked.Exchange(ref _isRequested, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    private void Guard(Action<Maintenance> work)
    {
        lock (_working)
        {
            if (_isDisposed)
            {
                return;
            }

            try
            {
                work(this);
            }
            catch (Exception e) when (_onFailure is not null)
            {
                // The namespace goes on serving; what was not done is tried again with the next tick.
                _onFailure(e);
            }
        }
    }
}
