using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Commit;
using KvStore.Diagnostics;
using KvStore.Engine;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Values;
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
    private readonly CommitPath _commit;
    private readonly KvTelemetry _telemetry;
    private readonly ILogger _logger;
    private volatile bool _isDisposed;

    private KvNamespace(string name, KvNamespaceOptions options)
    {
        Name = name;
        _limits = options.Limits;
        _keyBytesMax = _limits.KeyBytesMax;
        _clock = new CoarseClock(options.TimeProvider);
        _logger = (ILogger?)options.LoggerFactory?.CreateLogger<KvNamespace>() ?? NullLogger.Instance;
        _store = new ShardedStore(_clock, options.TimeProvider, e => _logger.MaintenanceFailed(name, e));
        _commit = new CommitPath(_store, _limits.ValueBytesMax);
        _telemetry = new KvTelemetry(name, options.TimeProvider, () => Count, () => MemoryBytes, () => _store.ExpiredCount);
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
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var source = Find(utf8Key, out var place, out var extent);
        value = new KvValue(source, place, extent);
        if (KvMetrics.IsObserved)
        {
            _telemetry.CountRead(source is not null);
        }

        return source is not null;
    }

    /// <inheritdoc/>
    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        KvMetrics.IsObserved ? GetObserved(key, options, cancellationToken) : Get(key, options, cancellationToken);

    private ValueTask<KvValue> Get(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (options is not null || cancellationToken.IsCancellationRequested)
        {
            CheckRead(key, options, cancellationToken);
        }

        return TryGetCore(key, out var value) ? new(value) : default;
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        KvMetrics.IsObserved ? GetManyObserved(keys, options, cancellationToken) : GetMany(keys, options, cancellationToken);

    private ValueTask<IReadOnlyDictionary<string, KvValue>> GetMany(
        IReadOnlyCollection<string> keys, KvGetOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        cancellationToken.ThrowIfCancellationRequested();
        var cacheTtl = options?.CacheTtl is { } ttl ? Deadline.Seconds32(ttl, nameof(options)) : (int?)null;
        if (keys.Count > _limits.GetManyKeysMax)
        {
            throw new KvException(400, "GET_BULK", $"You can request a maximum of {_limits.GetManyKeysMax} keys");
        }

        if (keys.Count == 0)
        {
            throw new KvException(400, "GET_BULK", "You must request a minimum of 1 key");
        }

        foreach (var key in keys)
        {
            KeyRules.CheckInBulk(key, _limits.KeyBytesMax);
            CheckCacheTtl(cacheTtl, "GET_BULK");
        }

        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var result = FindMany(keys, out var totalBytes);
        if (totalBytes > _limits.GetManyBytesMax)
        {
            throw new KvException(413, "GET_BULK", $"Total size of request exceeds the limit of {_limits.GetManyBytesMax >> 20}MB");
        }

        return new(result);
    }

    /// <inheritdoc/>
    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        KvMetrics.IsObserved ? PutObserved(key, content, options, cancellationToken) : Put(key, content, options, cancellationToken);

    private ValueTask Put(string key, KvContent content, KvPutOptions? options, CancellationToken cancellationToken)
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
            return Put(new AsciiKey(key, hash), key, content, options, cancellationToken);
        }

        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        return Put(encoded.Key, key, content, options, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        KvMetrics.IsObserved ? DeleteObserved(key, cancellationToken) : Delete(key, cancellationToken);

    private ValueTask Delete(string key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out var hash))
        {
            return _commit.DeleteAsync(new AsciiKey(key, hash));
        }

        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, "DELETE", stackalloc byte[EncodedKey.StackBytes]);
        return _commit.DeleteAsync(encoded.Key);
    }

    /// <inheritdoc/>
    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        KvMetrics.IsObserved ? ListObserved(options, cancellationToken) : List(options, cancellationToken);

    private ValueTask<KvListPage> List(KvListOptions? options, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        var limit = options?.Limit is { } asked and > 0 ? asked : _limits.ListKeysMax;
        if (limit > _limits.ListKeysMax)
        {
            throw new KvException(
                400, "GET", $"Invalid key_count_limit of {limit}. Please specify an integer less than {_limits.ListKeysMax}.");
        }

        var prefixText = options?.Prefix ?? "";
        KeyRules.CheckLength(prefixText, _limits.KeyBytesMax, "GET");
        var after = ListCursor.Parse(options?.Cursor, _limits.KeyBytesMax);
        if (!KeyRules.IsUnicode(prefixText))
        {
            // No key holds an unpaired surrogate, so none begins with one.
            return new(new KvListPage([], cursor: null));
        }

        return new(ListPage.Read(_store, Encoding.UTF8.GetBytes(prefixText), after, limit));
    }

    private ValueTask Put<TKey>(
        in TKey key, string name, KvContent content, KvPutOptions? options, CancellationToken cancellationToken)
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
            return _commit.PutStreamedAsync(Encoding.UTF8.GetBytes(name), content, metadata, deadline, cancellationToken);
        }

        return content.Text is { } text
            ? _commit.PutAsync(key, text, metadata, deadline, cancellationToken)
            : _commit.PutAsync(key, content.Bytes.Span, metadata, deadline, cancellationToken);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryGetCore(string key, out KvValue value)
    {
        var source = Find(key, out var place, out var extent);
        value = new KvValue(source, place, extent);
        return source is not null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CheckRead(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var cacheTtl = options?.CacheTtl is { } ttl ? Deadline.Seconds32(ttl, nameof(options)) : (int?)null;
        KeyRules.CheckShape(key, _limits.KeyBytesMax, "GET");
        if (!KeyRules.IsUnicode(key))
        {
            throw new KvException(400, "GET", KeyRules.UnpairedSurrogate);
        }

        CheckCacheTtl(cacheTtl, "GET");
    }

    private void CheckCacheTtl(int? seconds, string operation)
    {
        var least = (int)_limits.CacheTtlMin.TotalSeconds;
        if (seconds < least)
        {
            throw new KvException(400, operation, $"Invalid cache_ttl of {seconds}. Cache TTL must be at least {least}.");
        }
    }
}
