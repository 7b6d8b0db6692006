using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Commit;
using KvStore.Diagnostics;
using KvStore.Engine;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Replication;
using KvStore.Values;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore;

/// <summary>
/// A namespace in this process: the whole Workers KV binding on log-structured memory.
/// </summary>
/// <remarks>
/// <para>Thread safety: all members, from any thread. A read never waits: not for a writer, not for background work.</para>
/// <para>Disposing it stops its background work and frees its memory; views that were handed out keep their bytes. Every
/// later call throws <see cref="ObjectDisposedException"/>.</para>
/// </remarks>
public sealed class KvNamespace : IKvNamespace, IAsyncDisposable, IDisposable
{
    private readonly KvLimits _limits;
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly CommitPath _commit;
    private readonly TextCache _texts = new();
    private readonly KvTelemetry _telemetry;
    private readonly ILogger _logger;
    private readonly ReplicatedStore? _replicated;
    private readonly KvRegion? _home;
    private volatile bool _isDisposed;

    // Not replicated and not disposed: a read may go straight to the engine. One question instead of two.
    private volatile bool _isPlain;

    private KvNamespace(string name, KvNamespaceOptions options)
    {
        Name = name;
        _limits = options.Limits;
        _clock = new CoarseClock(options.TimeProvider);
        _logger = (ILogger?)options.LoggerFactory?.CreateLogger<KvNamespace>() ?? NullLogger.Instance;
        _store = new ShardedStore(_clock, options.TimeProvider, e => _logger.MaintenanceFailed(name, e));
        if (options.Replication is { } replication)
        {
            _replicated = new ReplicatedStore(name, _store, _clock, options.TimeProvider, replication);
            Replication = new KvReplication(_replicated);
        }

        _commit = new CommitPath(_store, _replicated, WriteAdmission.For(options, _store), _limits.ValueBytesMax);
        _telemetry = new KvTelemetry(name, options.TimeProvider, () => Count, () => MemoryBytes, () => _store.ExpiredCount);
        _home = _replicated is null ? null : ViewFrom(_replicated.Home);
        _isPlain = _replicated is null;
        _logger.NamespaceCreated(name);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>The number of entries, among them those that have expired since the last sweep.</summary>
    public long Count => _store.Count;

    /// <summary>What is on its way between regions; null when the namespace is not replicated.</summary>
    public KvReplication? Replication { get; }

    /// <summary>The region whose view this namespace is; null when it is not replicated.</summary>
    public string? HomeRegion => _replicated?.Home.Region.Name;

    /// <summary>The bytes of memory held for entries and indexes: live, dead but not cleaned yet, and not used yet.</summary>
    internal long MemoryBytes => _store.MemoryBytes;

    /// <summary>Makes an empty namespace in memory.</summary>
    /// <param name="name">Its name, not empty.</param>
    /// <param name="options">How it behaves; null for the defaults.</param>
    /// <returns>The namespace, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">The name is empty, or an option is out of its range; the message names it.</exception>
    public static KvNamespace Create(string name, KvNamespaceOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        options ??= new KvNamespaceOptions();
        options.Validate();
        return new KvNamespace(name, options);
    }

    /// <summary>Opens a namespace, recovering what its persistence holds.</summary>
    /// <param name="name">Its name, not empty.</param>
    /// <param name="options">How it behaves; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening.</param>
    /// <returns>The namespace, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">The name is empty, or an option is out of its range; the message names it.</exception>
    public static ValueTask<KvNamespace> OpenAsync(
        string name, KvNamespaceOptions? options = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new(Create(name, options));
    }

    /// <summary>
    /// The same namespace as a region sees it: get, list and everything else show what has arrived there, and what is
    /// written through it is visible there at once and elsewhere later.
    /// </summary>
    /// <param name="region">The name of the region, one of <see cref="KvReplicationOptions.Regions"/>.</param>
    /// <returns>The view, which lives as long as this namespace.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    /// <exception cref="InvalidOperationException">The namespace is not replicated.</exception>
    public IKvNamespace InRegion(string region) => ViewFrom((_replicated ?? throw KvRegionExtensions.NotReplicated(Name)).ViewOf(region));

    /// <summary>The synchronous read, for hot paths: no allocation, no lock, no wait.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The entry, a view on memory that never changes.</param>
    /// <returns>Whether the key exists and has not expired.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    public bool TryGet(string key, out KvValue value)
    {
        if (KvMetrics.IsObserved)
        {
            return TryGetObserved(key, out value);
        }

        return TryGetCore(key, out value);
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
        bool isHit;
        if (_isPlain)
        {
            isHit = _store.TryFind(new Utf8Key(utf8Key), out var record);
            value = isHit ? record.ToValue() : default;
        }
        else
        {
            isHit = Home().TryGet(utf8Key, out value);
        }

        if (KvMetrics.IsObserved)
        {
            _telemetry.CountRead(isHit);
        }

        return isHit;
    }

    /// <inheritdoc/>
    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        KvMetrics.IsObserved ? GetObserved(key, options, cancellationToken) : Get(key, options, cancellationToken);

    private ValueTask<KvValue> Get(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (!_isPlain)
        {
            return Home().Get(key, options, cancellationToken);
        }

        if (options is not null || cancellationToken.IsCancellationRequested)
        {
            CheckRead(key, options, cancellationToken);
        }

        return TryFind(key, "GET", out var record, out _) ? new(record.ToValue()) : default;
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        GetManyAsync(keys, options, _home, cancellationToken);

    internal ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved
            ? GetManyObserved(keys, options, region, cancellationToken)
            : GetMany(keys, options, region, cancellationToken);

    private ValueTask<IReadOnlyDictionary<string, KvValue>> GetMany(
        IReadOnlyCollection<string> keys, KvGetOptions? options, KvRegion? region, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        cancellationToken.ThrowIfCancellationRequested();
        var cacheTtl = ReadRules.CacheTtlSeconds(options);
        ReadRules.CheckKeyCount(keys.Count, _limits);
        KeyPrefetch.Of(keys, _limits.KeyBytesMax, _store);
        var result = new OrderedDictionary<string, KvValue>(keys.Count, StringComparer.Ordinal);
        var totalBytes = 0L;
        foreach (var key in keys)
        {
            ReadRules.CheckInBulk(key, cacheTtl, _limits);
            if (!result.TryGetValue(key, out var value))
            {
                // An unpaired surrogate is no error among many keys; nothing is stored under it.
                value = !KeyRules.IsUnicode(key) ? default
                    : region is not null ? region.Get(key, "GET_BULK", cacheTtl)
                    : TryFind(key, "GET_BULK", out var record, out _) ? record.ToValue() : default;
                result.Add(key, value);
            }

            totalBytes += value.Length;
        }

        ReadRules.CheckTotal(totalBytes, _limits);
        return new(result);
    }

    /// <inheritdoc/>
    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        PutAsync(key, content, options, _home, cancellationToken);

    internal ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved
            ? PutObserved(key, content, options, region, cancellationToken)
            : Put(key, content, options, region, cancellationToken);

    private ValueTask Put(string key, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        if (options is not null)
        {
            Deadline.CheckRange(options);
        }

        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out var hash))
        {
            return Put(new AsciiKey(key, hash), key, content, options, region, cancellationToken);
        }

        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        return Put(encoded.Key, key, content, options, region, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        DeleteAsync(key, _home, cancellationToken);

    internal ValueTask DeleteAsync(string key, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved ? DeleteObserved(key, region, cancellationToken) : Delete(key, region, cancellationToken);

    private ValueTask Delete(string key, KvRegion? region, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out var hash))
        {
            _commit.Delete(new AsciiKey(key, hash), region?.View);
            return default;
        }

        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, "DELETE", stackalloc byte[EncodedKey.StackBytes]);
        _commit.Delete(encoded.Key, region?.View);
        return default;
    }

    /// <inheritdoc/>
    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        ListAsync(options, _home, cancellationToken);

    internal ValueTask<KvListPage> ListAsync(KvListOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved ? ListObserved(options, region, cancellationToken) : List(options, region, cancellationToken);

    private ValueTask<KvListPage> List(KvListOptions? options, KvRegion? region, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        var asked = ListRequest.Parse(options, _limits);
        return new(asked.Prefix is not { } prefix ? new KvListPage([], cursor: null)
            : region is null ? ListPage.Read(_store, prefix, asked.After, asked.Limit)
            : region.View.List(prefix, asked.After, asked.Limit));
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }

    /// <summary>Does what <see cref="DisposeAsync"/> does, for containers that are disposed synchronously.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _isPlain = false;
            _telemetry.Dispose();
            _replicated?.Dispose();
            _store.Dispose();
            _clock.Dispose();
            _logger.NamespaceDisposed(Name);
        }
    }

    /// <summary>Reads a value as text, from the cache of decoded text when it is there.</summary>
    internal ValueTask<string?> GetCachedTextAsync(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (KvMetrics.IsObserved)
        {
            return GetCachedTextObserved(key, options, cancellationToken);
        }

        return GetCachedText(key, options, cancellationToken);
    }

    private ValueTask<string?> GetCachedText(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (!_isPlain)
        {
            return Home().GetText(key, options, cancellationToken);
        }

        if (options is not null || cancellationToken.IsCancellationRequested)
        {
            CheckRead(key, options, cancellationToken);
        }

        return TryFind(key, "GET", out var record, out var word)
            ? new(_texts.Get(record, word & IndexWord.AddressMask))
            : default;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryFind(string key, string operation, out Record record, out long word)
    {
        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out var hash))
        {
            return _store.TryFind(new AsciiKey(key, hash), out record, out word);
        }

        return TryFindEncoded(key, operation, out record, out word);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryFindEncoded(string key, string operation, out Record record, out long word)
    {
        ArgumentNullException.ThrowIfNull(key);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, operation, stackalloc byte[EncodedKey.StackBytes]);
        return _store.TryFind(encoded.Key, out record, out word);
    }

    private ValueTask Put<TKey>(
        in TKey key, string name, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        var deadline = 0u;
        ReadOnlyMemory<byte> metadata = default;
        if (options is not null)
        {
            deadline = Deadline.From(options, _limits, _clock.NowSeconds);
            metadata = MetadataCodec.Encode(options.Metadata, _limits.MetadataBytesMax);
        }

        if (content.IsStreamed)
        {
            return PutStreamedAsync(name, content, metadata, deadline, region, cancellationToken);
        }

        if (content.Text is { } text)
        {
            _commit.Put(key, text, metadata.Span, deadline, region?.View);
        }
        else
        {
            _commit.Put(key, content.Bytes.Span, metadata.Span, deadline, region?.View);
        }

        return default;
    }

    private async ValueTask PutStreamedAsync(
        string name, KvContent content, ReadOnlyMemory<byte> metadata, uint deadline, KvRegion? region, CancellationToken cancellationToken)
    {
        using var value = await StreamedValue.ReadAsync(content, _limits.ValueBytesMax, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var key = Encoding.UTF8.GetBytes(name);
        _commit.Put(new Utf8Key(key), value, metadata.Span, deadline, region?.View);
    }

    // What is observed takes the long way, in methods of its own: their closures would cost the short way an allocation.
    private bool TryGetObserved(string key, out KvValue value)
    {
        var isHit = TryGetCore(key, out value);
        _telemetry.CountRead(isHit);
        return isHit;
    }

    private ValueTask<KvValue> GetObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("get", () => Get(key, options, cancellationToken), static value => value.Exists ? "hit" : "miss");

    private ValueTask<string?> GetCachedTextObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("get", () => GetCachedText(key, options, cancellationToken), static text => text is null ? "miss" : "hit");

    private ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyObserved(
        IReadOnlyCollection<string> keys, KvGetOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("get_many", () => GetMany(keys, options, region, cancellationToken), static _ => "ok");

    private async ValueTask PutObserved(
        string key, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        await _telemetry.ObserveAsync("put", () => Put(key, content, options, region, cancellationToken)).ConfigureAwait(false);

    private async ValueTask DeleteObserved(string key, KvRegion? region, CancellationToken cancellationToken) =>
        await _telemetry.ObserveAsync("delete", () => Delete(key, region, cancellationToken)).ConfigureAwait(false);

    private ValueTask<KvListPage> ListObserved(KvListOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        _telemetry.ObserveAsync("list", () => List(options, region, cancellationToken), static _ => "ok");

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryGetCore(string key, out KvValue value)
    {
        if (!_isPlain)
        {
            value = Home().Get(key, "GET", cacheTtlSeconds: null);
            return value.Exists;
        }

        var isHit = TryFind(key, "GET", out var record, out _);
        value = isHit ? record.ToValue() : default;
        return isHit;
    }

    // Where a read does not go straight to the engine: to what has arrived at home, or nowhere any more.
    private KvRegion Home()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return _home!;
    }

    private KvRegion ViewFrom(RegionView view) => new(this, view, _telemetry, _texts, _limits.KeyBytesMax);

    internal void CheckDisposed() => ObjectDisposedException.ThrowIf(_isDisposed, this);

    internal void CheckRead(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ReadRules.Check(key, options, _limits);
    }
}
