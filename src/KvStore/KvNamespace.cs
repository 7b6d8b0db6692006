using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Regions;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Values;
using KvStore.Writes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore;

/// <summary>
/// A namespace in this process: the whole Workers KV binding on log-structured memory.
/// </summary>
/// <remarks>
/// <para>Thread safety: all members, from any thread. A read never waits: not for a writer, not for background work, not for a
/// disk; but for the bytes of a large value (<see cref="KvValue.IsLarge"/>).</para>
/// <para>Disposing it makes durable what is not yet, stops its background work and frees its memory; views that were handed
/// out keep their bytes. Every later call throws <see cref="ObjectDisposedException"/>.</para>
/// </remarks>
public sealed partial class KvNamespace : IKvNamespace, IAsyncDisposable, IDisposable
{
    private readonly KvLimits _limits;
    private readonly int _keyBytesMax;
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly HashIndex _index;
    private readonly CommitPath _commit;
    private readonly LargeValueLeases _largeValues;
    private readonly KvTelemetry _telemetry;
    private readonly ILogger _logger;
    private volatile bool _isDisposed;

    // Not replicated and not disposed: a read goes straight to the engine. One question instead of two.
    private volatile bool _isPlain;

    // The same, nobody observes, and keys may be as long as those that are read from registers. So a hot read asks this one
    // question; whether somebody observes takes a dozen loads, which cost it more than the search. Changed under its gate.
    private volatile bool _isDirect;
    private readonly Lock _directGate = new();

    private KvNamespace(string name, KvNamespaceOptions options)
    {
        Name = name;
        _limits = options.Limits;
        _keyBytesMax = _limits.KeyBytesMax;
        _clock = CoarseClock.Join(options.TimeProvider, this);
        ObserverWatch.Begin();
        _logger = (ILogger?)options.LoggerFactory?.CreateLogger<KvNamespace>() ?? NullLogger.Instance;
        _store = new ShardedStore(_clock, options.TimeProvider, e => _logger.MaintenanceFailed(name, e), name: name);
        _commit = new CommitPath(name, _store, options);
        _largeValues = new LargeValueLeases(name, options.TimeProvider, () => _commit.Log?.LargeValues);
        _telemetry = new KvTelemetry(name, options.TimeProvider, () => Count, () => MemoryBytes, () => _store.ExpiredCount, NoticeObservers);
        if (options.Replication is { } replication)
        {
            _replicated = new ReplicatedStore(name, _store, _clock, options.TimeProvider, replication, _largeValues);
            _home = ViewFrom(_replicated.Home);
            Replication = new KvReplication(_replicated);
        }

        _index = _store.Index;
        _isPlain = _replicated is null;
        NoticeObservers();
        _logger.NamespaceCreated(name);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>The number of entries, among them those that have expired since the last sweep.</summary>
    public long Count => _store.Count;

    /// <summary>The bytes of memory held for entries and indexes: live, dead but not cleaned yet, and not used yet.</summary>
    internal long MemoryBytes => _store.MemoryBytes;

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
        if (options.Persistence is not null)
        {
            throw new ArgumentException(
                $"{nameof(KvNamespaceOptions)}.{nameof(KvNamespaceOptions.Persistence)} is set, which {nameof(Create)} cannot recover from; use {nameof(OpenAsync)}.",
                nameof(options));
        }

        return new KvNamespace(name, options);
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
        // Without a reference to the value anywhere, it stays in the registers in which it comes.
        var found = Find(key);
        value = found.IsUnknown ? FindElsewhere(key) : found;
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
        KeyRules.CheckUtf8(utf8Key, _limits.KeyBytesMax, "GET");
        var found = Find(utf8Key);
        value = found.IsUnknown ? FindElsewhere(utf8Key) : found;
        return value.Exists;
    }

    /// <inheritdoc/>
    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        if (options is null && LookNow(key, cancellationToken) is { IsUnknown: false } value)
        {
            return new(value);
        }

        return GetElsewhere(key, options, cancellationToken);
    }

    // What is rare, apart, so that what is common saves no register and clears no memory for it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<KvValue> GetElsewhere(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved ? GetObserved(key, options, cancellationToken) : Get(key, options, cancellationToken);

    private ValueTask<KvValue> Get(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (options is not null || cancellationToken.IsCancellationRequested)
        {
            return GetCarefully(key, options, cancellationToken);
        }

        // Also one that does not exist: it may have the status of a cache.
        return new(FindAnywhere(key));
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        GetManyAsync(keys, options, _home, cancellationToken);

    private ValueTask<IReadOnlyDictionary<string, KvValue>> GetMany(
        IReadOnlyCollection<string> keys, KvGetOptions? options, KvRegion? region, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        cancellationToken.ThrowIfCancellationRequested();
        CheckDisposed();
        var cacheTtl = ReadRules.CacheTtlSeconds(options);
        ReadRules.CheckKeyCount(keys.Count, _limits);
        var result = region is null ? FindMany(keys, cacheTtl, out var totalBytes) : FindMany(keys, region, cacheTtl, out totalBytes);
        ReadRules.CheckTotal(totalBytes, _limits);
        return new(result);
    }

    /// <inheritdoc/>
    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        PutAsync(key, content, options, _home, cancellationToken);

    private ValueTask Put(string key, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (content.IsDefault)
        {
            throw new ArgumentException(NamedEntry.NoContent(Name, key), nameof(content));
        }

        CheckDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out var hash))
        {
            return Put(new AsciiKey(key, hash), key, content, options, region?.View, cancellationToken);
        }

        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        return Put(encoded.Key, key, content, options, region?.View, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        DeleteAsync(key, _home, cancellationToken);

    private ValueTask Delete(string key, KvRegion? region, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        CheckDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out var hash))
        {
            return _commit.DeleteAsync(new AsciiKey(key, hash), region?.View);
        }

        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, "DELETE", stackalloc byte[EncodedKey.StackBytes]);
        return _commit.DeleteAsync(encoded.Key, region?.View);
    }

    /// <inheritdoc/>
    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        ListAsync(options, _home, cancellationToken);

    private ValueTask<KvListPage> List(KvListOptions? options, KvRegion? region, CancellationToken cancellationToken)
    {
        CheckDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        var asked = ListRequest.Parse(options, _limits);
        return new(asked.Prefix is not { } prefix ? new KvListPage([], cursor: null)
            : region is null ? ListPage.Read(_store, prefix, asked.After, asked.Limit)
            : region.View.List(prefix, asked.After, asked.Limit));
    }

    private ValueTask Put<TKey>(
        in TKey key, string name, KvContent content, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        Deadline deadline = default;
        ReadOnlyMemory<byte> metadata = default;
        if (options is not null)
        {
            deadline = ExpirationRules.Check(options, _limits, _clock.Now, Name, name);
            metadata = MetadataCodec.Encode(options.Metadata, _limits.MetadataBytesMax);
        }

        if (content.IsStreamed)
        {
            return _commit.PutStreamedAsync(
                Encoding.UTF8.GetBytes(name), content, metadata, DeadlineAtEnd(options, deadline, name), origin, cancellationToken);
        }

        return content.Text is { } text
            ? _commit.PutAsync(key, text, metadata, deadline, origin, cancellationToken)
            : _commit.PutAsync(key, content.Bytes.Span, metadata, deadline, origin, cancellationToken);
    }

    // The time to live begins when the entry does, and reading a stream may take long.
    private Func<Deadline> DeadlineAtEnd(KvPutOptions? options, Deadline deadline, string key) =>
        options?.ExpirationTtl is not null ? () => ExpirationRules.AfterTtl(options, _clock.Now, Name, key) : () => deadline;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<KvValue> GetCarefully(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (!_isPlain)
        {
            return Home().Get(key, options, cancellationToken);
        }

        CheckRead(key, options, cancellationToken);
        return new(FindAnywhere(key));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void CheckRead(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ReadRules.Check(key, options, _limits);
    }
}
