using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Values;

namespace KvStore.Reads;

/// <summary>
/// Every read of a namespace, or of its view from one region: of one key, of many, and lists.
/// </summary>
/// <remarks>
/// <para>One mode (<see cref="ReadMode"/>) decides which layer answers. In <see cref="ReadMode.Direct"/> a read of one key is a single
/// call of <see cref="Find(string)"/>, which probes the key's home bucket. Every other read goes through
/// <see cref="Read(string, string, int?, bool)"/>, in every mode. A read hashes its key once.</para>
/// <para>Thread safety: all members, from any thread. Reads take no lock, except for those that a region serves.</para>
/// </remarks>
internal sealed partial class ReadPath
{
    private readonly string _name;
    private readonly KvLimits _limits;
    private readonly int _keyBytesMax;
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly HashIndex _index;
    private readonly LargeValueLeases _largeValues;
    private readonly KvTelemetry _telemetry;

    private readonly RegionView? _view;

    // Changed under the lock. A hot read checks this one field, because checking for observers takes a dozen loads and costs more than
    // the probe.
    private readonly Lock _modeLock = new();
    private volatile ReadMode _mode;
    private volatile string? _refusal;

    /// <param name="name">The namespace.</param>
    /// <param name="limits">What it accepts.</param>
    /// <param name="store">Its entries.</param>
    /// <param name="clock">Its clock.</param>
    /// <param name="largeValues">Its large values.</param>
    /// <param name="telemetry">Its telemetry.</param>
    /// <param name="view">The view of the region whose reads these are; null where the namespace is not replicated.</param>
    public ReadPath(
        string name, KvLimits limits, ShardedStore store, CoarseClock clock, LargeValueLeases largeValues, KvTelemetry telemetry, RegionView? view)
    {
        _name = name;
        _limits = limits;
        _keyBytesMax = limits.KeyBytesMax;
        _clock = clock;
        _store = store;
        _index = store.Index;
        _largeValues = largeValues;
        _telemetry = telemetry;
        _view = view;
        if (view is not null)
        {
            _mode = ReadMode.Replicated;
            return;
        }

        _mode = ReadMode.Plain;

        // A clock that does not tick belongs to a test. Then every read checks for observers, so that it notices one at once.
        if (clock.Ticks && _keyBytesMax >= TwoBlockKey.BytesMax)
        {
            telemetry.WatchObservers(NoticeObservers);
            NoticeObservers();
        }
    }

    private ReadPath(ReadPath home, RegionView view)
    {
        _name = home._name;
        _limits = home._limits;
        _keyBytesMax = home._keyBytesMax;
        _clock = home._clock;
        _store = home._store;
        _index = home._index;
        _largeValues = home._largeValues;
        _telemetry = home._telemetry;
        _view = view;
        _mode = ReadMode.Replicated;
    }

    /// <summary>What the region sees; null where the namespace is not replicated.</summary>
    public RegionView? View => _view;

    /// <summary>What the namespace accepts.</summary>
    public KvLimits Limits => _limits;

    /// <summary>The reads of the same namespace in another region.</summary>
    public ReadPath Of(RegionView view) => new(this, view);

    /// <summary>Every later read throws <see cref="ObjectDisposedException"/>.</summary>
    public void Close()
    {
        lock (_modeLock)
        {
            _mode = ReadMode.Closed;
        }
    }

    /// <summary>Refuses every read, or serves reads again.</summary>
    /// <param name="reason">Why reads are refused; null to serve them.</param>
    public void RefuseAll(string? reason)
    {
        lock (_modeLock)
        {
            _refusal = reason;
            if (_mode != ReadMode.Closed)
            {
                _mode = reason is null ? ReadMode.Plain : ReadMode.Refused;
            }
        }

        if (reason is null && _clock.Ticks && _keyBytesMax >= TwoBlockKey.BytesMax)
        {
            NoticeObservers();
        }
    }

    /// <summary>
    /// Probes for a key in <see cref="ReadMode.Direct"/>, and returns its value or the absence of one. <see cref="KvValue.Unknown"/>
    /// in every other mode, for a key that is not read from registers, and for one that its home bucket does not decide; then one of
    /// the methods below
    /// reads the key.
    /// </summary>
    /// <remarks>
    /// Nearly every read is this one method. It is never inlined: in a caller's loop the compiler's budget for inlining would be used
    /// up, and the probe would become a dozen calls. It calls no method, so it saves no register, and its result fits two registers.
    /// </remarks>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public KvValue Find(string key)
    {
        var mode = _mode;
        return mode < ReadMode.Direct || key is null || !TwoBlockKey.Fits(key.Length) || !TwoBlockKey.TryRead(key, out var read) ? KvValue.Unknown
            : mode == ReadMode.Direct ? _index.Probe<TwoBlockKey, ValueOutcome, KvValue>(read, _clock, default)
            : _index.Probe<TwoBlockKey, CountedValueOutcome, KvValue>(read, _clock, default);
    }

    /// <summary>As <see cref="Find(string)"/>, for a valid key in UTF-8.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public KvValue Find(ReadOnlySpan<byte> utf8Key)
    {
        var mode = _mode;
        return mode < ReadMode.Direct || !TwoBlockKey.Fits(utf8Key.Length) ? KvValue.Unknown
            : mode == ReadMode.Direct ? _index.Probe<TwoBlockKey, ValueOutcome, KvValue>(TwoBlockKey.Read(utf8Key), _clock, default)
            : _index.Probe<TwoBlockKey, CountedValueOutcome, KvValue>(TwoBlockKey.Read(utf8Key), _clock, default);
    }

    /// <summary>Reads a key in any mode.</summary>
    /// <param name="key">The key.</param>
    /// <param name="operation">The operation, for the messages of exceptions.</param>
    /// <param name="cacheTtlSeconds">The longest time for which a region may serve the value from its cache; null for its default.</param>
    /// <param name="isUse">Whether the read counts as a use of the entry, where entries are evicted.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public KvValue Read(string key, string operation, int? cacheTtlSeconds, bool isUse = true)
    {
        ThrowIfClosed();
        if (_keyBytesMax >= TwoBlockKey.BytesMax && key is not null)
        {
            if (TwoBlockKey.Fits(key.Length) && TwoBlockKey.TryRead(key, out var blocks))
            {
                return Read(blocks, cacheTtlSeconds, isUse);
            }

            if (HalvesKey.Fits(key.Length) && HalvesKey.TryRead(key, out var halves))
            {
                return Read(halves, cacheTtlSeconds, isUse);
            }
        }

        return KeyRules.TryAscii(key!, _keyBytesMax, out var hash)
            ? Read(new AsciiKey(key!, hash), cacheTtlSeconds, isUse)
            : ReadEncoded(key!, operation, cacheTtlSeconds, isUse);
    }

    /// <summary>Reads an ASCII key, of which the hash is known, in any mode but <see cref="ReadMode.Closed"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public KvValue Read(string key, ulong hash, int? cacheTtlSeconds) => Read(new AsciiKey(key, hash), cacheTtlSeconds);

    /// <summary>Reads a key in any mode, and counts the read where somebody observes: a synchronous read is neither timed nor traced.</summary>
    /// <param name="key">The key.</param>
    /// <param name="hash">The hash of the key (<see cref="KvValue.UnknownHash"/>), or 0 where it is not known.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public KvValue ReadCounted(string key, ulong hash) =>
        hash != 0 ? Search(new AsciiKey(key, hash)) : Counted(Read(key, "GET", cacheTtlSeconds: null));

    /// <summary>As <see cref="ReadCounted(string, ulong)"/>, for a valid key in UTF-8.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public KvValue ReadCounted(ReadOnlySpan<byte> utf8Key, ulong hash)
    {
        if (hash != 0)
        {
            return Search(new Utf8Key(utf8Key, hash));
        }

        ThrowIfClosed();
        return Counted(Read(new Utf8Key(utf8Key), cacheTtlSeconds: null));
    }

    /// <summary>Reads a key in any mode, with options, cancellation and telemetry.</summary>
    /// <param name="key">The key.</param>
    /// <param name="hash">The hash of the key (<see cref="KvValue.UnknownHash"/>), or 0 where it is not known.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public ValueTask<KvValue> GetAsync(string key, ulong hash, KvGetOptions? options, CancellationToken cancellationToken)
    {
        return hash != 0 ? new(Search(new AsciiKey(key, hash)))
            : KvMetrics.IsObserved ? Observed(key, options, cancellationToken)
            : Get(key, options, cancellationToken);

        // A method of its own, because a closure here would cost the other branches an allocation.
        ValueTask<KvValue> Observed(string key, KvGetOptions? options, CancellationToken cancellationToken) => _telemetry.ObserveAsync(
            "get", () => Get(key, options, cancellationToken), static value => value.Exists ? "hit" : "miss");
    }

    /// <summary>Reads 1 to 100 keys, with telemetry.</summary>
    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved ? Observed(keys, options, cancellationToken) : Get(keys, options, cancellationToken);

        ValueTask<IReadOnlyDictionary<string, KvValue>> Observed(
            IReadOnlyCollection<string> keys, KvGetOptions? options, CancellationToken cancellationToken) => _telemetry.ObserveAsync(
                "get_many", () => Get(keys, options, cancellationToken), static _ => "ok");
    }

    /// <summary>Lists keys, with telemetry.</summary>
    public ValueTask<KvListPage> ListAsync(KvListOptions? options, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved ? Observed(options, cancellationToken) : List(options, cancellationToken);

        ValueTask<KvListPage> Observed(KvListOptions? options, CancellationToken cancellationToken) =>
            _telemetry.ObserveAsync("list", () => List(options, cancellationToken), static _ => "ok");
    }

    /// <summary>Scans the newest state, whatever the region sees. Counted when it is called; how long the caller takes is not timed.</summary>
    /// <exception cref="KvException">The prefix is too long (414) or not Unicode (400).</exception>
    public EntryScan Scan(string prefix, CancellationToken cancellationToken)
    {
        ThrowIfClosed();
        var utf8 = KeyRules.EncodePrefix(prefix, _keyBytesMax, "LIST");
        if (KvMetrics.Requests.Enabled)
        {
            _telemetry.CountScan();
        }

        return new EntryScan(this, _store, _clock, utf8, cancellationToken);
    }

    /// <summary>
    /// Returns the value that a read would return, without the effects of a read: nothing is counted, and a region neither caches the
    /// value nor keeps it for longer.
    /// </summary>
    public KvValue Peek(string key)
    {
        if (_view is null)
        {
            return Read(key, "GET", cacheTtlSeconds: null, isUse: false);
        }

        ThrowIfClosed();
        using var encoded = new EncodedKey(key, _keyBytesMax, "GET", stackalloc byte[EncodedKey.StackBytes]);
        return _view.Peek(encoded.Key);
    }

    /// <summary>Reads the newest version of a key, also where the region does not see that yet. The caller disposes a large value.</summary>
    public KvValue ReadNewest(string key)
    {
        if (_view is null)
        {
            return Read(key, "GET", cacheTtlSeconds: null);
        }

        ThrowIfClosed();
        using var encoded = new EncodedKey(key, _keyBytesMax, "GET", stackalloc byte[EncodedKey.StackBytes]);
        return Search(encoded.Key);
    }

    /// <summary>Shows a page of the keys that have arrived, without the listings that a region has cached.</summary>
    public KvListPage PeekList(KvListOptions options)
    {
        ThrowIfClosed();
        var request = ListRequest.Parse(options, _limits);
        return request.Prefix is not { } prefix ? new KvListPage([], cursor: null)
            : _view is null ? ListPage.Read(_store, prefix, request.After, request.Limit)
            : _view.ListUncached(prefix, request.After, request.Limit);
    }

    private ValueTask<KvValue> Get(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        ThrowIfClosed();
        return new(Read(key, "GET", Check(key, options, cancellationToken)));
    }

    private ValueTask<IReadOnlyDictionary<string, KvValue>> Get(
        IReadOnlyCollection<string> keys, KvGetOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        cancellationToken.ThrowIfCancellationRequested();
        ThrowIfClosed();
        return new(GetMany.Read(this, _store, _limits, keys, ReadRules.CacheTtlSeconds(options)));
    }

    private ValueTask<KvListPage> List(KvListOptions? options, CancellationToken cancellationToken)
    {
        ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        var request = ListRequest.Parse(options, _limits);
        return new(request.Prefix is not { } prefix ? new KvListPage([], cursor: null)
            : _view is null ? ListPage.Read(_store, prefix, request.After, request.Limit)
            : _view.List(prefix, request.After, request.Limit));
    }

    private KvValue Counted(KvValue value)
    {
        if (KvMetrics.Requests.Enabled && _mode is not (ReadMode.Direct or ReadMode.Counting))
        {
            _telemetry.CountRead(value.Exists);
        }

        return value;
    }

    /// <summary>Checks the options of a read.</summary>
    /// <returns>The time to live in a region's cache; null for its default.</returns>
    public int? Check(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (options is null)
        {
            return null;
        }

        ReadRules.Check(key, options, _limits);
        return ReadRules.CacheTtlSeconds(options);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private KvValue Read<TKey>(in TKey key, int? cacheTtlSeconds, bool isUse = true)
        where TKey : struct, IKey, allows ref struct
    {
        if (_view is not null)
        {
            _view.TryGet(key, cacheTtlSeconds, out var seen);
            return seen;
        }

        var value = isUse && _store.Evicts
            ? _index.Probe<TKey, CountedValueOutcome, KvValue>(key, _clock, default)
            : _index.Probe<TKey, ValueOutcome, KvValue>(key, _clock, default);
        return value.IsUnknown ? Search(key, isUse) : value;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue ReadEncoded(string key, string operation, int? cacheTtlSeconds, bool isUse)
    {
        using var encoded = new EncodedKey(key, _keyBytesMax, operation, stackalloc byte[EncodedKey.StackBytes]);
        return Read(encoded.Key, cacheTtlSeconds, isUse);
    }

    // For a key that its home bucket does not decide: the key may be displaced, expired or absent, or have a large value. When the
    // mode has changed since the probe, a closed store throws, and one read may not be counted.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue Search<TKey>(in TKey key, bool isUse = true)
        where TKey : struct, IKey, allows ref struct
    {
        if (!_store.TryFind(key, out var record))
        {
            return default;
        }

        if (isUse)
        {
            _store.NoteUse(record);
        }

        return record.IsLarge ? ViewLarge(key, record) : record.ToValue();
    }

    /// <summary>A view on a large value, which the caller disposes.</summary>
    public KvValue ViewLarge<TKey>(in TKey key, Record record)
        where TKey : struct, IKey, allows ref struct
    {
        while (record.IsLarge)
        {
            if (_largeValues.TryView(record.LargeValue, record, out var large))
            {
                return record.ToValue(large);
            }

            // The value was replaced after the search, or has expired.
            var before = record.LargeValue;
            if (!_store.TryFind(key, out record) || record.LargeValue == before)
            {
                return default;
            }
        }

        return record.ToValue();
    }

    /// <summary>Reads are direct while nobody observes. .NET notifies nobody of an observer: see <see cref="ObserverWatch"/>.</summary>
    private void NoticeObservers()
    {
        lock (_modeLock)
        {
            if (_mode is not (ReadMode.Closed or ReadMode.Refused))
            {
                _mode = KvMetrics.IsObserved ? ReadMode.Plain : _store.Evicts ? ReadMode.Counting : ReadMode.Direct;
            }
        }
    }

    /// <summary>Whether the namespace is disposed.</summary>
    public bool IsClosed => _mode == ReadMode.Closed;

    /// <summary>Throws when the namespace is disposed, or refuses reads.</summary>
    public void ThrowIfClosed()
    {
        if (_mode <= ReadMode.Refused)
        {
            ThrowClosed();
        }
    }

    [DoesNotReturn]
    private void ThrowClosed() => throw (_mode == ReadMode.Closed
        ? DisposedNamespace.Exception(_name)
        : new KvException(503, "GET", _refusal ?? "Reads are refused."));
}
