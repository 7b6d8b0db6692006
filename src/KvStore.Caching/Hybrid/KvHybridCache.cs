using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Keys;
using KvStore.Rules;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore.Hybrid;

/// <summary>A <see cref="HybridCache"/> with one level, a namespace. See <c>services.AddKvHybridCache</c>.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed partial class KvHybridCache : HybridCache, IDisposable
{
    private const HybridCacheEntryFlags ReadFlags = HybridCacheEntryFlags.DisableLocalCacheRead | HybridCacheEntryFlags.DisableDistributedCacheRead;

    private const HybridCacheEntryFlags WriteFlags = HybridCacheEntryFlags.DisableLocalCacheWrite | HybridCacheEntryFlags.DisableDistributedCacheWrite;

    private readonly IServiceProvider _services;
    private readonly KvAdapter _adapter;
    private readonly EntryKeys _keys;
    private readonly EntryPlan _defaults;
    private readonly HybridCacheEntryFlags _defaultFlags;
    private readonly int _payloadBytesMax;
    private readonly int _keyLengthMax;
    private readonly ILogger _logger;
    private readonly HybridSerializers _serializers;
    private readonly CachedEntries _entries = new();
    private readonly KeyWrites _writes = new();
    private readonly Lock _opening = new();
    private HybridStore? _store;

    // What a hit reads: the entries when they are current without a lookup in the namespace, and the clock of the store.
    private CachedEntries? _current;
    private HybridClock? _clock;

    /// <param name="services">Where the namespace, the serializers, the clock and the log are.</param>
    /// <param name="adapter">How the cache is registered.</param>
    /// <param name="options">How it behaves.</param>
    public KvHybridCache(IServiceProvider services, KvAdapter adapter, KvHybridCacheOptions options)
    {
        _services = services;
        _adapter = adapter;
        _keys = new EntryKeys(options.Prefix);
        _defaults = EntryPlan.Default.With(options.DefaultEntryOptions);
        _defaultFlags = _defaults.Flags;
        _payloadBytesMax = (int)options.MaximumPayloadBytes;
        _keyLengthMax = options.MaximumKeyLength;
        _logger = (ILogger?)services.GetService<ILoggerFactory>()?.CreateLogger("KvStore.HybridCache") ?? NullLogger.Instance;
        _serializers = new HybridSerializers(services);
    }

    /// <summary>What is known in memory; for tests.</summary>
    internal CachedEntries Entries => _entries;

    /// <summary>The changes that are under way; for tests.</summary>
    internal KeyWrites Writes => _writes;

    /// <summary>The entries in the namespace, which is opened with the first use.</summary>
    internal HybridStore Store => Volatile.Read(ref _store) ?? Open();

    /// <inheritdoc/>
    public override ValueTask<T> GetOrCreateAsync<TState, T>(
        string key,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        HybridCacheEntryOptions? options = null,
        IEnumerable<string>? tags = null,
        CancellationToken cancellationToken = default)
    {
        var entry = FindCurrent(key, options, cancellationToken);
        return entry is not null && entry.GetType() == typeof(CachedEntry<T>)
            ? new ValueTask<T>(Unsafe.As<CachedEntry<T>>(entry).Value)
            : GetOrCreateOtherAsync(key, key, entry, state, factory, options, tags, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask<T> GetOrCreateAsync<TState, T>(
        ReadOnlySpan<char> key,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        HybridCacheEntryOptions? options = null,
        IEnumerable<string>? tags = null,
        CancellationToken cancellationToken = default)
    {
        var entry = FindCurrent(key, options, cancellationToken);
        return entry is not null && entry.GetType() == typeof(CachedEntry<T>)
            ? new ValueTask<T>(Unsafe.As<CachedEntry<T>>(entry).Value)
            : GetOrCreateOtherAsync(null, key, entry, state, factory, options, tags, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask SetAsync<T>(
        string key, T value, HybridCacheEntryOptions? options = null, IEnumerable<string>? tags = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        cancellationToken.ThrowIfCancellationRequested();
        var plan = _defaults.With(options);
        var stored = TagSet.Of(tags);
        if (!IsValid(key) || plan.WritesNothing)
        {
            return default;
        }

        // A value that is not cached must not leave an older one in its place.
        return AreValid(stored) ? SetCoreAsync(key, value, stored, plan) : RemoveCoreAsync(key, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask RemoveAsync(string key, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        cancellationToken.ThrowIfCancellationRequested();
        return IsCacheable(key) ? RemoveCoreAsync(key, cancellationToken) : default;
    }

    /// <inheritdoc/>
    public override ValueTask RemoveAsync(IEnumerable<string> keys, CancellationToken cancellationToken = default)
    {
        // As in the base class, null is none.
        return keys is null ? default : new ValueTask(Task.WhenAll(keys.Select(key => RemoveAsync(key, cancellationToken).AsTask())));
    }

    /// <inheritdoc/>
    public override ValueTask RemoveByTagAsync(string tag, CancellationToken cancellationToken = default) => RemoveByTagAsync([tag], cancellationToken);

    /// <inheritdoc/>
    public override async ValueTask RemoveByTagAsync(IEnumerable<string> tags, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var isAll = false;
        var stored = new HashSet<string>(StringComparer.Ordinal);
        foreach (var tag in tags ?? [])
        {
            isAll |= tag == TagSet.All;
            if (!string.IsNullOrWhiteSpace(tag))
            {
                stored.Add(tag);
            }
        }

        if (stored.Count == 0)
        {
            return;
        }

        var removal = new TagRemoval(Store);
        await _writes.RemoveTaggedAsync(isAll ? null : stored).WaitAsync(cancellationToken).ConfigureAwait(false);
        var isOk = isAll
            ? await removal.TryRemoveAllAsync(cancellationToken).ConfigureAwait(false)
            : await removal.TryRemoveAsync(stored, cancellationToken).ConfigureAwait(false);
        _adapter.CountRequest("remove_by_tag", isOk ? "ok" : "error");
    }

    public void Dispose()
    {
        lock (_opening)
        {
            Volatile.Write(ref _current, null);
            _store?.Dispose();
        }
    }

    // The entry of a key in the common case, without a lookup in the namespace. None while requests are counted, so that the fastest hits do not
    // pay for the question whether they count.
    // Not inlined: without a call in it, it needs no registers that the generic method would have to save.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private CachedEntry? FindCurrent(ReadOnlySpan<char> key, HybridCacheEntryOptions? options, CancellationToken cancellationToken) =>
        KvAdapter.IsCounted ? null : Find(key, options, cancellationToken);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private CachedEntry? Find(ReadOnlySpan<char> key, HybridCacheEntryOptions? options, CancellationToken cancellationToken) =>
        (((options is null ? null : options.Flags) ?? _defaultFlags) & ReadFlags) == 0
            && !cancellationToken.IsCancellationRequested
            && _current is { } current
            && current.Find(key) is { } entry
            && entry.Until > _clock!.Horizon
                ? entry
                : null;

    // What is no hit of an object that all callers get, or is counted.
    private ValueTask<T> GetOrCreateOtherAsync<TState, T>(
        string? text,
        ReadOnlySpan<char> key,
        CachedEntry? entry,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        HybridCacheEntryOptions? options,
        IEnumerable<string>? tags,
        CancellationToken cancellationToken)
    {
        entry ??= KvAdapter.IsCounted ? Find(key, options, cancellationToken) : null;
        if (entry is SerializedEntry<T> serialized && serialized.TryRead(out var value))
        {
            _adapter.CountRequest("get", "hit");
            return new ValueTask<T>(value);
        }

        if (entry is CachedEntry<T> shared)
        {
            _adapter.CountRequest("get", "hit");
            return new ValueTask<T>(shared.Value);
        }

        return GetOrCreateUnknownAsync(text ?? key.ToString(), state, factory, options, tags, cancellationToken);
    }

    private ValueTask<T> GetOrCreateUnknownAsync<TState, T>(
        string key,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        HybridCacheEntryOptions? options,
        IEnumerable<string>? tags,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(factory);
        cancellationToken.ThrowIfCancellationRequested();
        var plan = _defaults.With(options);
        if (!IsValid(key))
        {
            return (plan.Flags & HybridCacheEntryFlags.DisableUnderlyingData) != 0 ? default : factory(state, cancellationToken);
        }

        var ended = _writes.EndedOf(key);
        var look = Look.Missing;
        if (!plan.ReadsNothing)
        {
            look = Store.TryFind<T>(key, plan.Flags, out var value);
            switch (look)
            {
                case Look.Found:
                    _adapter.CountRequest("get", "hit");
                    return new ValueTask<T>(value);
                case Look.Waits:
                    return FindOrCreateAsync(key, ended, state, factory, plan, tags, cancellationToken);
            }
        }

        return CreateAsync(key, look, ended, state, factory, plan, tags, cancellationToken);
    }

    // For values in files.
    private async ValueTask<T> FindOrCreateAsync<TState, T>(
        string key,
        long ended,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        EntryPlan plan,
        IEnumerable<string>? tags,
        CancellationToken cancellationToken)
    {
        var (look, value) = await Store.FindAsync<T>(key, plan.Flags, cancellationToken).ConfigureAwait(false);
        if (look == Look.Found)
        {
            _adapter.CountRequest("get", "hit");
            return value;
        }

        return await CreateAsync(key, look, ended, state, factory, plan, tags, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask SetCoreAsync<T>(string key, T value, string[] tags, EntryPlan plan)
    {
        using var payload = new PayloadWriter(_payloadBytesMax);
        var isSerialized = value is null || TrySerialize(key, value, payload, out _);
        _ = Store; // Throws here where the namespace is not registered.
        var write = _writes.BeginStoring(key, tags, out var earlier);
        try
        {
            await earlier.ConfigureAwait(false);
            await WriteAsync(key, value, isSerialized, payload, tags, plan).ConfigureAwait(false);
        }
        finally
        {
            _writes.End(write);
        }
    }

    private async ValueTask WriteAsync<T>(string key, T value, bool isSerialized, PayloadWriter payload, string[] tags, EntryPlan plan)
    {
        // A value that is too long must not leave an older one in its place.
        var isOk = isSerialized
            ? await Store.TryWriteAsync(key, value, payload.Written, tags, plan).ConfigureAwait(false)
            : await Store.TryRemoveAsync(key, CancellationToken.None).ConfigureAwait(false);
        _adapter.CountRequest("set", !isSerialized ? "too_long" : isOk ? "ok" : "error");
    }

    private async ValueTask RemoveCoreAsync(string key, CancellationToken cancellationToken)
    {
        var store = Store;
        var write = _writes.BeginStoring(key, [], out var earlier);
        try
        {
            // Not cancelled: changes of the key that come later wait for this one only.
            await earlier.ConfigureAwait(false);
            _adapter.CountRequest("remove", await store.TryRemoveAsync(key, cancellationToken).ConfigureAwait(false) ? "ok" : "error");
        }
        finally
        {
            _writes.End(write);
        }
    }

    // A value that is too long is logged. Any other failure is a mistake of the application, which shows it to the caller as well.
    private bool TrySerialize<T>(string key, T value, PayloadWriter payload, out IHybridCacheSerializer<T>? serializer)
    {
        serializer = null;
        try
        {
            serializer = _serializers.Of<T>();
            serializer.Serialize(value, payload);
            return true;
        }
        catch (Exception) when (payload.IsOverLimit)
        {
            _logger.PayloadTooLong(VisibleKey.Quote(key), _payloadBytesMax);
            return false;
        }
        catch (EncoderFallbackException) when (serializer is TextSerializer)
        {
            _logger.TextIsNotUnicode(VisibleKey.Quote(key));
            return false;
        }
        catch (Exception e)
        {
            _logger.SerializationFailed(VisibleKey.Quote(key), e);
            throw;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private HybridStore Open()
    {
        lock (_opening)
        {
            if (_store is null)
            {
                var kv = _adapter.GetNamespace<IKvExtendedNamespace>(_services);
                var store = new HybridStore(kv, _keys, _entries, _serializers, _services.GetService<TimeProvider>() ?? TimeProvider.System, _logger);
                _clock = store.Clock;
                Volatile.Write(ref _current, store.IsObserved ? _entries : null);
                Volatile.Write(ref _store, store);
            }

            return _store;
        }
    }
}
