namespace KvStore.Replication;

/// <summary>A key of which some region has not heard everything yet.</summary>
/// <remarks>Thread safety: none; it is changed and read under the lock of its stripe.</remarks>
internal sealed class PendingKey : KeyedItem<PendingKey>
{
    private readonly Backlog?[] _backlogs;
    private int _backlogCount;
    private PendingWrite _newest;

    public PendingKey(byte[] key, ulong hash, int regionCount, PendingWrite newest)
        : base(key, hash)
    {
        _backlogs = new Backlog?[regionCount];
        _newest = newest;
        newest.Retain();
    }

    /// <summary>The mutation that wins, which is what the engine has.</summary>
    public PendingWrite Newest
    {
        get => _newest;
        set
        {
            value.Retain();
            _newest.Release();
            _newest = value;
        }
    }

    /// <summary>Whether every region has heard everything.</summary>
    public bool IsSettled => _backlogCount == 0;

    /// <summary>What a region has not heard; null when it has heard everything.</summary>
    public Backlog? this[Region region]
    {
        get => _backlogs[region.Index];
        set
        {
            var before = _backlogs[region.Index];
            var change = (value is null ? 0 : 1) - (before is null ? 0 : 1);
            _backlogs[region.Index] = value;
            before?.Leave();
            _backlogCount += change;
            if (change > 0)
            {
                region.CountFlight();
            }
            else if (change < 0)
            {
                region.CountLanding();
            }
        }
    }

    /// <summary>It was removed from where it was kept, and lets go of what it keeps.</summary>
    public void Leave() => _newest.Release();
}
