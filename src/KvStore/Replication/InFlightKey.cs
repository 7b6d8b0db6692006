namespace KvStore.Replication;

/// <summary>A key of which some region has not heard everything yet.</summary>
/// <remarks>Thread safety: none; it is changed and read under the lock of its stripe.</remarks>
internal sealed class InFlightKey(byte[] key, ulong hash, int regionCount, InFlightMutation newest) : KeyedItem<InFlightKey>(key, hash)
{
    private readonly Backlog?[] _backlogs = new Backlog?[regionCount];
    private int _backlogCount;

    /// <summary>The mutation that wins, which is what the engine has.</summary>
    public InFlightMutation Newest { get; set; } = newest;

    /// <summary>Whether every region has heard everything.</summary>
    public bool IsSettled => _backlogCount == 0;

    /// <summary>What a region has not heard; null when it has heard everything.</summary>
    public Backlog? this[Region region]
    {
        get => _backlogs[region.Index];
        set
        {
            var change = (value is null ? 0 : 1) - (_backlogs[region.Index] is null ? 0 : 1);
            _backlogs[region.Index] = value;
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
}
