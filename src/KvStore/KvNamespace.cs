using System.Runtime.CompilerServices;
using KvStore.Creation;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Memory;
using KvStore.Reads;
using KvStore.Regions;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Values;
using KvStore.Watching;
using KvStore.Writes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore;

/// <summary>
/// A namespace in this process: the whole Workers KV binding on log-structured memory.
/// </summary>
/// <remarks>
/// <para>Thread safety: all members, from any thread. A read never waits for a writer, for background work or for a disk; only
/// reading the bytes of a large value does (<see cref="KvValue.IsLarge"/>).</para>
/// <para>Disposing it flushes what is not on the disk yet, stops background work and frees memory. Views that callers have keep their
/// bytes. Every later call throws <see cref="ObjectDisposedException"/>.</para>
/// </remarks>
public sealed class KvNamespace : IKvExtendedNamespace, ILocalNamespace, IAsyncDisposable, IDisposable
{
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly CommitPath _commit;
    private readonly ReadPath _reads;
    private readonly WritePath _writes;
    private readonly ManyWrites _manyWrites;
    private readonly WatchPath _watches;
    private readonly LargeValueLeases _largeValues;
    private readonly KvTelemetry _telemetry;
    private readonly ILogger _logger;

    private KvNamespace(string name, KvNamespaceOptions options)
    {
        Name = name;
        Limits = options.Limits;
        Memory = options.Memory?.BytesMax is null ? null : options.Memory;
        _clock = CoarseClock.Join(options.TimeProvider, this);
        _logger = (ILogger?)options.LoggerFactory?.CreateLogger<KvNamespace>() ?? NullLogger.Instance;
        _largeValues = new LargeValueLeases(name, options.TimeProvider, () => options.Engine is null ? options.Persistence?.LargeValues : options.Engine.LargeValues);
        _store = new ShardedStore(
            _clock, options.TimeProvider, e => _logger.MaintenanceFailed(name, e), name: name, releaseLargeValue: _largeValues.Release, memory: options.Memory, shareLargeValue: _largeValues.Share, countLargeValue: _largeValues.TryCount);
        if (options.Persistence is null && options.Engine is null)
        {
            _store.BeginRevisionsAfter(FirstRevision.After(highest: 0, _clock.Now));
        }

        _commit = new CommitPath(name, _store, _largeValues, options);
        _telemetry = new KvTelemetry(name, options.TimeProvider, () => Count, () => MemoryBytes, () => _store.ExpiredCount, () => _store.EvictedCount, () => _commit.ConditionFailures)
        {
            WatcherCount = () => _store.Changes.WatcherCount,
            SkippedChanges = () => _store.Changes.SkippedCount,
        };
        _writes = new WritePath(name, Limits, _clock, _commit, _telemetry);
        _manyWrites = new ManyWrites(Limits, _clock, _store, _writes, _commit, _telemetry);
        var replicated = options.Replication is { } replication
            ? new ReplicatedStore(name, _store, _clock, options.TimeProvider, replication, _largeValues)
            : null;
        _reads = new ReadPath(name, Limits, _store, _clock, _largeValues, _telemetry, replicated?.Home);
        _watches = new WatchPath(name, Limits, _store, _reads, _commit.WhenSettledAsync);
        Texts = new TextReads(_reads, _store, _telemetry, Limits.KeyBytesMax, new DecodedCache());
        Objects = new ObjectReads(_reads, _store, _clock);
        Creations = new Flights(name, options.TimeProvider, _logger);
        Regions = replicated is null ? null : new NamespaceRegions(name, replicated, _reads, Texts, _writes);
        Owners = new NamespaceOwners(CloseAsync, () => _commit.Persistence?.FlushAsync() ?? default);
        _logger.NamespaceCreated(name);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>The number of entries, among them those that have expired since the last sweep.</summary>
    public long Count => _store.Count;

    /// <summary>
    /// Whether writes are taken, and if not, why: after the disk has failed a namespace goes on serving reads and refuses
    /// writes until <see cref="ReopenAsync"/>. Degraded while the last write failed and the next one may succeed, as on a full
    /// disk. Always healthy for a namespace that lives in memory alone.
    /// </summary>
    public KvPersistenceHealth Health => (_commit.Engine is { } engine ? engine.Health : _commit.Persistence?.Health) ?? KvPersistenceHealth.Healthy;

    /// <summary>
    /// What opening the namespace found: how much was recovered, what a crash had left half-written, and, for a directory that was
    /// opened to be read only, what is damaged and missing. Null for a namespace that lives in memory alone.
    /// </summary>
    public KvRecovery? Recovery { get; private set; }

    /// <summary>The deliveries between regions; null when the namespace has no regions.</summary>
    public KvReplication? Replication => Regions?.Replication;

    /// <summary>The bytes of memory held for entries and indexes: live, dead but not cleaned yet, and not used yet. Values in files do not count.</summary>
    public long MemoryBytes => _store.MemoryBytes;

    /// <summary>
    /// How many entries were evicted because memory was limited (<see cref="KvMemoryPolicy.Evict"/>), since the namespace was opened. Among
    /// them are those that were left out when it was opened.
    /// </summary>
    public long EvictedCount => _store.EvictedCount;

    /// <summary>How much memory the namespace may take, and what happens when it is full; null for no limit.</summary>
    public KvMemoryOptions? Memory { get; }

    /// <summary>The limits that this namespace was opened with.</summary>
    public KvLimits Limits { get; }

    /// <summary>The clock that decides when entries expire.</summary>
    public TimeProvider TimeProvider => _clock.TimeProvider;

    /// <summary>Who keeps this namespace open, when it has several owners.</summary>
    internal NamespaceOwners Owners { get; }

    /// <summary>The reads of this namespace: those of its home region, when it is replicated.</summary>
    internal ReadPath Reads => _reads;

    /// <summary>The reads of values as text.</summary>
    internal TextReads Texts { get; }

    TextReads ILocalNamespace.Texts => Texts;

    /// <summary>The reads of values as objects.</summary>
    internal ObjectReads Objects { get; }

    /// <summary>The factory calls that are under way.</summary>
    internal Flights Creations { get; }

    /// <summary>The regions of this namespace; null when it is not replicated.</summary>
    internal NamespaceRegions? Regions { get; }

    /// <summary>The changes of the newest state.</summary>
    internal ChangeFeed Changes => _store.Changes;

    // The region in which writes of this namespace are made.
    private RegionView? Origin => Regions?.Home;

    /// <summary>Makes an empty namespace in memory.</summary>
    /// <param name="name">Its name, not empty.</param>
    /// <param name="options">How it behaves; null for the defaults. One that persists is opened by <see cref="OpenAsync"/>.</param>
    /// <returns>The namespace, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">
    /// The name is empty, or an option is out of its range, or a persistence provider is given; the message names it.
    /// </exception>
    public static KvNamespace Create(string name, KvNamespaceOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        options ??= new KvNamespaceOptions();
        options.Validate();
        if (options.Persistence is not null || options.Engine is not null)
        {
            throw new ArgumentException(
                $"{nameof(KvNamespaceOptions)}.{(options.Engine is null ? nameof(KvNamespaceOptions.Persistence) : nameof(KvNamespaceOptions.Engine))} is set, which {nameof(Create)} cannot recover from; use {nameof(OpenAsync)}.",
                nameof(options));
        }

        return new KvNamespace(name, options);
    }

    /// <summary>Opens a namespace, recovering what its persistence provider holds. The namespace then owns the provider.</summary>
    /// <param name="name">Its name, not empty.</param>
    /// <param name="options">How it behaves; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening; nothing stays open then.</param>
    /// <returns>The namespace, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">The name is empty, or an option is out of its range; the message names it.</exception>
    /// <exception cref="KvPersistenceException">
    /// The stored data cannot be opened: another process holds it (<see cref="KvDirectoryLockedException"/>), it is damaged
    /// (<see cref="KvDamagedFileException"/>), or its format is unknown.
    /// </exception>
    public static async ValueTask<KvNamespace> OpenAsync(
        string name, KvNamespaceOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        options ??= new KvNamespaceOptions();
        options.Validate();
        cancellationToken.ThrowIfCancellationRequested();
        var kv = new KvNamespace(name, options);
        if (options.Persistence is not null || options.Engine is not null)
        {
            try
            {
                kv.Recovery = options.Engine is null
                    ? await kv._commit.OpenAsync(options, cancellationToken).ConfigureAwait(false)
                    : await kv._commit.OpenEngineAsync(options, kv._reads.RefuseAll, cancellationToken).ConfigureAwait(false);
                if (kv._store.HasEvicted)
                {
                    _ = kv.CompactAfterEvictionAsync();
                }
            }
            catch
            {
                await kv.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        return kv;
    }

    /// <summary>The synchronous read, for hot paths: no allocation, no lock, no wait.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The entry, a view on memory that never changes.</param>
    /// <returns>Whether the key exists and has not expired.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGet(string key, out KvValue value)
    {
        // No reference to the value is taken before this assignment, so it stays in the registers in which Find returns it.
        var found = _reads.Find(key);
        value = found.IsUnknown ? _reads.ReadCounted(key, found.UnknownHash) : found;
        return value.Exists;
    }

    /// <summary>The synchronous read by the UTF-8 bytes of a key, for hot paths: no allocation, no lock, no wait.</summary>
    /// <param name="utf8Key">The key in UTF-8.</param>
    /// <param name="value">The entry, a view on memory that never changes.</param>
    /// <returns>Whether the key exists and has not expired. Bytes that are not UTF-8 are no key, and never found.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414).</exception>
    public bool TryGet(ReadOnlySpan<byte> utf8Key, out KvValue value)
    {
        KeyRules.CheckUtf8(utf8Key, Limits.KeyBytesMax, "GET");
        var found = _reads.Find(utf8Key);
        value = found.IsUnknown ? _reads.ReadCounted(utf8Key, found.UnknownHash) : found;
        return value.Exists;
    }

    /// <inheritdoc/>
    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        var value = options is null && !cancellationToken.IsCancellationRequested ? _reads.Find(key) : KvValue.Unknown;
        return value.IsUnknown ? _reads.GetAsync(key, value.UnknownHash, options, cancellationToken) : new(value);
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        _reads.GetManyAsync(keys, options, cancellationToken);

    /// <inheritdoc/>
    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        _writes.PutAsync(key, content, options, Origin, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        _writes.DeleteAsync(key, Origin, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        _reads.ListAsync(options, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<KvWriteResult> TryPutAsync(
        string key, KvContent content, KvCondition condition, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        _writes.TryPutAsync(key, content, condition, options, Origin, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<KvWriteResult> TryDeleteAsync(string key, KvCondition condition, CancellationToken cancellationToken = default) =>
        _writes.TryDeleteAsync(key, condition, Origin, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> TouchAsync(string key, TimeSpan? expirationTtl, CancellationToken cancellationToken = default)
    {
        var touch = _writes.TryTouchAsync(key, expirationTtl, KvCondition.Present, Origin, cancellationToken);
        return touch.IsCompletedSuccessfully ? new(touch.Result.Succeeded) : Awaited(touch);

        static async ValueTask<bool> Awaited(ValueTask<KvWriteResult> touch) => (await touch.ConfigureAwait(false)).Succeeded;
    }

    /// <inheritdoc/>
    public ValueTask<KvWriteResult> TryTouchAsync(
        string key, TimeSpan? expirationTtl, KvCondition condition, CancellationToken cancellationToken = default) =>
        _writes.TryTouchAsync(key, expirationTtl, condition, Origin, cancellationToken);

    /// <inheritdoc/>
    public ValueTask PutManyAsync(IReadOnlyCollection<KvEntry> entries, CancellationToken cancellationToken = default) =>
        _manyWrites.PutAsync(entries, Origin, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<long> DeleteManyAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken = default) =>
        _manyWrites.DeleteAsync(keys, Origin, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<long> DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default) =>
        _manyWrites.DeletePrefixAsync(prefix, Origin, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<KvScanEntry> ScanAsync(string? prefix = null, CancellationToken cancellationToken = default) =>
        _reads.Scan(prefix ?? "", cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<KvChange> WatchAsync(KvWatchOptions? options = null, CancellationToken cancellationToken = default) =>
        _watches.WatchAsync(options, cancellationToken);

    /// <summary>
    /// Begins to call a method for every change of the keys that begin with a prefix, of the newest state, in the step that makes the change. For
    /// caches of objects that were made from entries: they drop an object when its entry changes, and need not compare anything when they are read.
    /// </summary>
    /// <remarks>
    /// <para>To add an object without a race: add it in a state in which nobody uses it, read the entry, and make the object usable when the entry is
    /// still the one that it was made from. A later change is shown to the callback, which removes the object. Other threads must see the object before
    /// the entry is read: add it under a lock that the callback takes as well, or with a method of <see cref="Interlocked"/>.</para>
    /// <para>Counts as a watch in <c>kvstore.watchers</c>. A view of a region may show a change later than the callback is called.</para>
    /// </remarks>
    /// <param name="callback">The method. See <see cref="KvChangeCallback"/> for what it may do.</param>
    /// <param name="prefix">The prefix; empty for all keys.</param>
    /// <returns>Ends the calls when it is disposed. Keep it: the calls end as well when it is not referenced any more.</returns>
    /// <exception cref="KvException">The prefix is too long (414).</exception>
    public IDisposable ObserveChanges(KvChangeCallback callback, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(callback);
        ArgumentNullException.ThrowIfNull(prefix);
        return _watches.Observe(callback, prefix);
    }

    /// <summary>
    /// The same namespace as a region sees it: reads and lists return the writes that the region has received. A write through the
    /// view is visible in the region at once, and in other regions after the lag.
    /// </summary>
    /// <param name="region">The name of the region, one of <see cref="KvReplicationOptions.Regions"/>.</param>
    /// <returns>The view. It lives as long as this namespace.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    /// <exception cref="InvalidOperationException">The namespace has no regions.</exception>
    public IKvNamespace InRegion(string region) => (Regions ?? throw NamespaceRegions.NotReplicated(Name)).Of(region);

    /// <summary>
    /// Flushes every put and delete that has completed to the disk, with any durability. Does nothing for a namespace that lives in
    /// memory alone.
    /// </summary>
    /// <param name="cancellationToken">Checked before anything happens.</param>
    /// <returns>A task that completes when they are on the disk.</returns>
    /// <exception cref="KvPersistenceException">The flush failed.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) =>
        NamedFailure.WithNames(Persistence?.FlushAsync(cancellationToken) ?? default, "FLUSH", Name);

    /// <summary>
    /// Accepts writes again after the disk has failed (<see cref="Health"/> is <see cref="KvPersistenceStatus.Failed"/>) and the cause
    /// is gone, without closing the namespace. Every completed write is kept, and no failed write comes back. Reads go on meanwhile.
    /// Does nothing when nothing has failed, or for a namespace that lives in memory alone.
    /// </summary>
    /// <param name="cancellationToken">Abandons the attempt; writes are refused as before.</param>
    /// <returns>A task that completes when writes are taken again.</returns>
    /// <exception cref="KvPersistenceException">The cause still stands, or the stored data is damaged; writes are refused as before.</exception>
    /// <exception cref="NotSupportedException">The persistence provider cannot do that.</exception>
    public ValueTask ReopenAsync(CancellationToken cancellationToken = default) =>
        NamedFailure.WithNames(Persistence?.ReopenAsync(cancellationToken) ?? default, "REOPEN", Name);

    /// <summary>
    /// Compacts the files, so that only live entries take up space. The namespace does this itself when dead bytes outweigh live
    /// bytes. Reads and writes continue meanwhile. Does nothing for a namespace that lives in memory alone.
    /// </summary>
    /// <param name="cancellationToken">Abandons the attempt; nothing is lost by it.</param>
    /// <returns>A task that completes when the space is free.</returns>
    /// <exception cref="KvPersistenceException">It failed; the message says whether writes go on.</exception>
    public ValueTask CompactAsync(CancellationToken cancellationToken = default) =>
        NamedFailure.WithNames(Persistence?.CompactAsync(cancellationToken) ?? default, "COMPACT", Name);

    /// <summary>
    /// Writes a copy of the namespace as it is at one moment during the call; it can be opened as it is. Reads and writes go
    /// on meanwhile.
    /// </summary>
    /// <param name="directory">A directory that is empty or does not exist.</param>
    /// <param name="cancellationToken">Abandons the attempt; what was written so far can be removed.</param>
    /// <returns>A task that completes when the copy is on the disk.</returns>
    /// <exception cref="InvalidOperationException">The namespace lives in memory alone.</exception>
    /// <exception cref="KvPersistenceException">The directory is not empty, or cannot be written.</exception>
    public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        return Persistence is { } persistence
            ? NamedFailure.WithNames(persistence.SnapshotAsync(directory, cancellationToken), "SNAPSHOT", Name)
            : throw new InvalidOperationException($"The namespace {VisibleKey.Quote(Name)} lives in memory alone, or in a database; only one that persists in files can be copied to a directory.");
    }

    /// <inheritdoc/>
    /// <exception cref="KvPersistenceException">A mutation that was acknowledged before it was on the disk could not be written there.</exception>
    public ValueTask DisposeAsync() => Owners.DisposeAsync();

    /// <summary>
    /// Does what <see cref="DisposeAsync"/> does, for containers that are disposed synchronously. Blocks while a persistence
    /// provider writes.
    /// </summary>
    public void Dispose()
    {
        // This blocks, because returning before everything is on the disk would lose writes. The provider works on the thread pool,
        // and does not need the thread of the caller.
        DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    /// <summary>Returns the value that a read in a region would return (null: the home region), without the effects of a
    /// read.</summary>
    internal KvValue Peek(string key, string? region = null) =>
        (region is null || Regions is null ? _reads : Regions.Of(region).Reads).Peek(key);

    /// <summary>Reads the newest version of a key, also where the home region does not see that yet.</summary>
    internal KvValue ReadNewest(string key) => _reads.ReadNewest(key);

    KvValue ILocalNamespace.ReadNewest(string key) => ReadNewest(key);

    /// <summary>Shows a page of the keys that have arrived, without the listings that a region has cached.</summary>
    internal KvListPage PeekKeys(KvListOptions options) => _reads.PeekList(options);

    // Null for a namespace that lives in memory alone.
    private IKvPersistence? Persistence => _writes.IsClosed ? throw DisposedNamespace.Exception(Name) : _commit.Persistence;

    // What was evicted while the namespace was recovered is still on the disk. It is not written there entry by entry, because their keys
    // are not remembered.
    private async Task CompactAfterEvictionAsync()
    {
        try
        {
            await Task.Run(() => _commit.Persistence!.CompactAsync().AsTask()).ConfigureAwait(false);
        }
        catch (Exception e) when (e is KvPersistenceException or OperationCanceledException or ObjectDisposedException or OutOfMemoryException)
        {
            if (!_writes.IsClosed)
            {
                _logger.MaintenanceFailed(Name, e);
            }
        }
    }

    private async Task CloseAsync()
    {
        _reads.Close();
        _store.Changes.Close();
        Regions?.Close();
        _writes.Close();
        Creations.Close();
        _largeValues.Dispose();
        try
        {
            await _commit.CloseProviderAsync().ConfigureAwait(false);
        }
        finally
        {
            _telemetry.Dispose();
            Regions?.Dispose();
            _store.Dispose();
            _clock.Leave(this);
            _logger.NamespaceDisposed(Name);
        }
    }
}
