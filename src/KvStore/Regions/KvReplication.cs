using KvStore.Replication;

namespace KvStore;

/// <summary>
/// The deliveries of writes between the regions of a namespace: observe them, wait for them, hold them back, and make them step by
/// step. See <see cref="KvNamespace.Replication"/>.
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
    /// The number of pending deliveries: each write counts once for each region that has not received it. A delivery that was
    /// superseded does not count. Stale results in the caches of regions do not count.
    /// </summary>
    public long PendingCount => _replicated.PendingCount;

    /// <summary>Whether every region has received every write.</summary>
    public bool IsConverged => PendingCount == 0;

    /// <summary>Whether deliveries are made only by <see cref="Step"/>.</summary>
    public bool IsPaused => _replicated.IsPaused;

    /// <summary>The number of keys with writes that some region has not received.</summary>
    internal int PendingKeyCount => _replicated.PendingKeyCount;

    /// <summary>The number of pending deliveries to a region.</summary>
    /// <param name="region">The name of the region.</param>
    /// <returns>The number.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public long PendingCountOf(string region) => _replicated.PendingCountOf(Find(region));

    /// <summary>
    /// Completes when no delivery is pending. While a region is partitioned, or replication is paused, it may never complete.
    /// </summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The task.</returns>
    public Task WaitForConvergenceAsync(CancellationToken cancellationToken = default) =>
        _replicated.WaitForConvergenceAsync(cancellationToken);

    /// <summary>
    /// Reads the outcomes of writes in the regions other than their own, from the start of the enumeration until the namespace is
    /// disposed. Each enumeration gets every event. Events that it has not taken yet are kept in memory, without a limit.
    /// </summary>
    /// <returns>
    /// The events. When there is no memory for an event, the enumeration ends with an <see cref="InsufficientMemoryException"/>.
    /// </returns>
    public IAsyncEnumerable<KvReplicationEvent> ReadEventsAsync() => _replicated.Events;

    /// <summary>
    /// Cuts a region off: deliveries to it and from it are held back until <see cref="Heal"/>. The region still serves reads and
    /// accepts writes.
    /// </summary>
    /// <param name="region">The name of the region.</param>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public void Partition(string region) => _replicated.SetCutOff(Find(region), isCutOff: true);

    /// <summary>
    /// Connects a region again. Deliveries that were held back are sent now, and take their whole lag. Of several writes to a key the
    /// newest wins in every region.
    /// </summary>
    /// <param name="region">The name of the region.</param>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public void Heal(string region) => _replicated.SetCutOff(Find(region), isCutOff: false);

    /// <summary>Whether a region is partitioned.</summary>
    /// <param name="region">The name of the region.</param>
    /// <returns>True from <see cref="Partition"/> to <see cref="Heal"/>.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public bool IsPartitioned(string region) => Find(region).IsCutOff;

    /// <summary>
    /// Sets the clock skew of a region. Of two concurrent writes to a key in two regions, the one with the later time <em>by its own
    /// region's clock</em> wins. So with a fast clock the earlier write can win, and the later write is lost in every region. A write
    /// always wins over a write that its region has received. The skew does not change expirations.
    /// </summary>
    /// <param name="region">The name of the region.</param>
    /// <param name="skew">How much the clock is fast; negative when it is slow. It applies to later writes.</param>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public void SetClockSkew(string region, TimeSpan skew) => Find(region).SkewTicks = skew.Ticks;

    /// <summary>The clock skew of a region.</summary>
    /// <param name="region">The name of the region.</param>
    /// <returns>How much the clock is fast; negative when it is slow.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    public TimeSpan GetClockSkew(string region) => new(Find(region).SkewTicks);

    /// <summary>
    /// Stops deliveries, also those without lag. A write is still visible at once in the region where it is made.
    /// </summary>
    public void Pause() => _replicated.Pause();

    /// <summary>Makes the next delivery, in the order of their times, without waiting for its time.</summary>
    /// <returns>The delivery; null when no delivery is pending, or all pending deliveries are held back.</returns>
    /// <exception cref="InvalidOperationException">Replication is not paused.</exception>
    public KvReplicationEvent? Step() => IsPaused
        ? _replicated.Step()
        : throw new InvalidOperationException($"Replication is stepped by hand while it is paused; call {nameof(Pause)} first.");

    /// <summary>Continues deliveries after <see cref="Pause"/>. Deliveries whose time has passed are made at once.</summary>
    public void Resume() => _replicated.Resume();

    private Region Find(string region) => _replicated.Find(region).Region;
}
