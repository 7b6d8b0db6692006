using KvStore.Replication;

namespace KvStore;

/// <summary>
/// What is on its way between the regions of a namespace: to be watched, waited for, held up and stepped by hand.
/// <see cref="KvNamespace.Replication"/> has it.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
public sealed class KvReplication
{
    private readonly ReplicatedStore _replicated;

    internal KvReplication(ReplicatedStore replicated)
    {
        _replicated = replicated;
        Regions = [.. replicated.RegionNames];
    }

    /// <summary>The names of the regions.</summary>
    public IReadOnlyList<string> Regions { get; }

    /// <summary>The region whose view the namespace itself is.</summary>
    public string HomeRegion => _replicated.Home.Region.Name;

    /// <summary>
    /// How many mutations are on their way, counted once for each region that has not heard of them. What was superseded
    /// before it arrived is not counted any more. What regions have cached is not counted: that is stale, but on no way.
    /// </summary>
    public long PendingCount => _replicated.PendingCount;

    /// <summary>Whether nothing is on its way: every region has heard of everything.</summary>
    public bool IsConverged => PendingCount == 0;

    /// <summary>Whether nothing arrives by itself.</summary>
    public bool IsPaused => _replicated.IsPaused;

    /// <summary>Of how many keys some region has not heard everything.</summary>
    internal int PendingKeyCount => _replicated.PendingKeyCount;

    /// <summary>How many mutations are on their way to a region.</summary>
    /// <param name="region">The region.</param>
    /// <returns>The number.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public long PendingCountOf(string region) => _replicated.PendingCountOf(Find(region));

    /// <summary>
    /// Completes as soon as nothing is on its way. While a region is cut off, or replication is paused, that may be never.
    /// </summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>A task.</returns>
    public Task WaitForConvergenceAsync(CancellationToken cancellationToken = default) =>
        _replicated.WaitForConvergenceAsync(cancellationToken);

    /// <summary>
    /// What becomes of mutations in regions other than their own, as it happens, from the beginning of the enumeration on.
    /// It ends when the namespace is disposed. Each enumeration gets all events; those it has not taken yet are kept for it.
    /// </summary>
    /// <returns>The events.</returns>
    public IAsyncEnumerable<KvReplicationEvent> ReadEventsAsync() => _replicated.Events;

    /// <summary>
    /// Cuts a region off: nothing that is on its way to it or from it arrives, until <see cref="Heal"/>. It goes on serving
    /// what it has, and accepting writes.
    /// </summary>
    /// <param name="region">The region.</param>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public void Partition(string region) => _replicated.SetCutOff(Find(region), isCutOff: true);

    /// <summary>
    /// Connects a region again. What was held up sets out now, and takes its whole lag; of several writes to a key the
    /// newest wins everywhere.
    /// </summary>
    /// <param name="region">The region.</param>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public void Heal(string region) => _replicated.SetCutOff(Find(region), isCutOff: false);

    /// <summary>Whether a region is cut off.</summary>
    /// <param name="region">The region.</param>
    /// <returns>Whether it is.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public bool IsPartitioned(string region) => Find(region).IsCutOff;

    /// <summary>
    /// Sets the clock of a region wrong. Of two writes in two regions, of which neither had heard of the other, the one that
    /// was made later <em>by its own region's clock</em> wins: so with a wrong clock the earlier one can win, and the later
    /// one is lost everywhere, as happens in reality. A write always wins over what its region has heard of, whatever the
    /// clocks say. Expirations are not touched: those go by the right time.
    /// </summary>
    /// <param name="region">The region.</param>
    /// <param name="skew">By how much its clock is fast; negative when slow. For writes from now on.</param>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public void SetClockSkew(string region, TimeSpan skew) => Find(region).SkewTicks = skew.Ticks;

    /// <summary>By how much the clock of a region is fast.</summary>
    /// <param name="region">The region.</param>
    /// <returns>The skew; negative when slow.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public TimeSpan GetClockSkew(string region) => new(Find(region).SkewTicks);

    /// <summary>
    /// Lets nothing arrive by itself from now on, not even what has no lag. Writes go on being visible where they are made.
    /// </summary>
    public void Pause() => _replicated.Pause();

    /// <summary>Lets the next arrival happen, in the order of their times, without waiting for its time.</summary>
    /// <returns>What arrived; null when nothing is on its way, or only to or from regions that are cut off.</returns>
    /// <exception cref="InvalidOperationException">Replication is not paused.</exception>
    public KvReplicationEvent? Step() => IsPaused
        ? _replicated.Step()
        : throw new InvalidOperationException($"Replication is stepped by hand while it is paused; call {nameof(Pause)} first.");

    /// <summary>Lets arrivals happen by themselves again; those whose time has come meanwhile, at once.</summary>
    public void Resume() => _replicated.Resume();

    private Region Find(string region) => _replicated.Find(region).Region;
}
