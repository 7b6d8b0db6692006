using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using KvStore.Failures;
using KvStore.Keys;
using KvStore.Rules;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.Logging;

namespace KvStore.Hybrid;

/// <summary>Reads and writes the entries of the cache in the namespace, and knows some of them in memory.</summary>
/// <remarks>
/// <para>The namespace is the truth. Where it shows each change before the write completes (<see cref="KvNamespace.ObserveChanges"/>), a change
/// removes the object of its key from memory, and an object that is there is what the entry says. Elsewhere an object is returned only when the
/// entry still has its revision.</para>
/// <para>When the namespace fails, a read finds nothing, and a write is left out. What a failed write or removal was to replace is hidden
/// until the process ends, or until its key is written.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class HybridStore : IDisposable
{
    // The shortest time to live that every namespace takes. The exact deadline is in the header.
    private static readonly TimeSpan s_ttlMin = TimeSpan.FromSeconds(60);

    // After this moment the namespace takes no deadline, and the entry stays until it is removed.
    private static readonly DateTimeOffset s_lastExpiration = DateTimeOffset.FromUnixTimeSeconds(uint.MaxValue);

    private readonly IKvExtendedNamespace _kv;
    private readonly KvNamespace? _local;
    private readonly IDisposable? _observation;
    private readonly EntryKeys _keys;
    private readonly int _metadataBytesMax;
    private readonly HybridSerializers _serializers;
    private readonly ILogger _logger;
    private readonly StoreFailures _failures;

    // By keys of the namespace: entries up to a revision that count as missing.
    private readonly ConcurrentDictionary<string, long> _hidden = new(StringComparer.Ordinal);
    private volatile bool _hasHidden;
    private long _lastUnreadable;

    /// <param name="kv">The namespace.</param>
    /// <param name="keys">Makes its keys.</param>
    /// <param name="entries">What is known in memory.</param>
    /// <param name="serializers">The serializers.</param>
    /// <param name="timeProvider">The clock where the namespace has none.</param>
    /// <param name="logger">The log.</param>
    public HybridStore(
        IKvExtendedNamespace kv, EntryKeys keys, CachedEntries entries, HybridSerializers serializers, TimeProvider timeProvider, ILogger logger)
    {
        _kv = kv;
        _local = kv as KvNamespace;
        _keys = keys;
        Entries = entries;
        _serializers = serializers;
        _logger = logger;
        var time = _local?.TimeProvider ?? timeProvider;
        Clock = new HybridClock(time);
        _failures = new StoreFailures(logger, kv.Name, time);
        _metadataBytesMax = (_local?.Limits ?? new KvLimits()).MetadataBytesMax;

        // A region sees a change later than it is observed. Then every read compares revisions.
        _observation = _local?.Replication is null ? _local?.ObserveChanges(Drop, keys.Prefix) : null;
    }

    /// <summary>The namespace.</summary>
    public IKvExtendedNamespace Namespace => _kv;

    /// <summary>What is known in memory.</summary>
    public CachedEntries Entries { get; }

    /// <summary>Which entries have a tag.</summary>
    public TagIndex Tags { get; } = new();

    /// <summary>The clock that decides when entries expire.</summary>
    public HybridClock Clock { get; }

    /// <summary>Makes the keys.</summary>
    public EntryKeys Keys => _keys;

    /// <summary>Whether every change removes what is known of its key before the write completes, so that what is known and confirmed is so.</summary>
    public bool IsObserved => _observation is not null;

    /// <summary>Looks for a value without waiting.</summary>
    /// <param name="key">The key.</param>
    /// <param name="flags">The flags of the call.</param>
    /// <param name="value">The value.</param>
    /// <returns>Whether there is one; null when that is not known without waiting.</returns>
    public bool? TryFind<T>(string key, HybridCacheEntryFlags flags, out T value)
    {
        value = default!;
        if (_local is null)
        {
            return null;
        }

        Span<byte> utf8 = stackalloc byte[EntryKeys.KeyBytesMax];
        utf8 = utf8[.._keys.Encode(key, utf8)];
        KvValue stored;
        try
        {
            if (!_local.TryGet(utf8, out stored))
            {
                return false;
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            _failures.Report("get", e);
            return false;
        }

        var known = Entries.Find(key);
        known = known?.Revision == stored.Revision ? known : null;
        if (known is null && stored.IsLarge)
        {
            stored.Dispose();
            return null;
        }

        var header = known?.Header ?? HeaderOf(stored);
        if (Clock.HasPassed(EntryPlan.DeadlineOf(header, flags)) || IsHidden(utf8, stored.Revision))
        {
            stored.Dispose();
            return false;
        }

        if (known is CachedEntry<T> hit && (flags & HybridCacheEntryFlags.DisableLocalCacheRead) == 0)
        {
            value = hit.Value;
            stored.Dispose();
            return true;
        }

        if (stored.IsLarge)
        {
            stored.Dispose();
            return null;
        }

        return TryRead(key, flags, header, known, stored.Revision, stored.GetBytes(), out value);
    }

    /// <summary>Looks for a value, and waits for a value in a file.</summary>
    /// <returns>Whether there is one, and the value.</returns>
    public async ValueTask<(bool IsFound, T Value)> FindAsync<T>(string key, HybridCacheEntryFlags flags, CancellationToken cancellationToken)
    {
        if (TryFind<T>(key, flags, out var found) is { } isFound)
        {
            return (isFound, found);
        }

        try
        {
            var storeKey = _keys.Of(key);
            using var stored = await _kv.GetAsync(storeKey, options: null, cancellationToken).ConfigureAwait(false);
            if (!stored.Exists)
            {
                return (false, default!);
            }

            var header = HeaderOf(stored);
            if (Clock.HasPassed(EntryPlan.DeadlineOf(header, flags)) || IsHidden(Encoding.UTF8.GetBytes(storeKey), stored.Revision))
            {
                return (false, default!);
            }

            var bytes = await stored.ReadBytesAsync(cancellationToken).ConfigureAwait(false);
            return (TryRead<T>(key, flags, header, known: null, stored.Revision, bytes, out var value), value);
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            _failures.Report("get", e);
            return (false, default!);
        }
    }

    /// <summary>Writes an entry. When that fails, what the key had before counts as missing.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, for callers of this process when nobody can change it.</param>
    /// <param name="payload">The serialized value.</param>
    /// <param name="tags">The tags as they are stored.</param>
    /// <param name="plan">How long the entry lives.</param>
    /// <returns>Whether it is stored.</returns>
    public async ValueTask<bool> TryWriteAsync<T>(string key, T value, ReadOnlyMemory<byte> payload, string[] tags, EntryPlan plan)
    {
        var storeKey = _keys.Of(key);
        var header = plan.HeaderAt(Clock, tags, isNull: value is null);
        if (tags.Length > 0)
        {
            Tags.Add(storeKey, tags);
        }

        var revision = 0L;
        try
        {
            var metadata = header.ToMetadata(_metadataBytesMax, out var tagsInFront);
            if (!tagsInFront.IsEmpty)
            {
                payload = (byte[])[.. tagsInFront.Span, .. payload.Span];
                header = header with { TagBytes = tagsInFront.Length };
            }

            await _kv.PutAsync(storeKey, payload, OptionsOf(header, metadata)).ConfigureAwait(false);
            using var stored = _local is not null && _local.TryGet(storeKey, out var found) ? found : await _kv.GetAsync(storeKey).ConfigureAwait(false);
            revision = stored.Revision;

            // Somebody else may have written the key since. Equal bytes are the same value.
            if (stored.Exists && !stored.IsLarge && stored.Metadata == metadata && stored.GetBytes().Span.SequenceEqual(payload.Span))
            {
                Keep(key, storeKey, plan.Flags, header, revision, value);
            }

            return true;
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            _failures.Report("set", e);
            await HideAsync(storeKey).ConfigureAwait(false);
            return false;
        }
        finally
        {
            if (tags.Length > 0)
            {
                Tags.NoteWritten(storeKey, tags, revision);
            }
        }
    }

    /// <summary>Removes an entry. When that fails, it counts as missing.</summary>
    public async ValueTask<bool> TryRemoveAsync(string key, CancellationToken cancellationToken)
    {
        var storeKey = _keys.Of(key);
        try
        {
            await _kv.DeleteAsync(storeKey, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            _failures.Report("remove", e);
            await HideAsync(storeKey).ConfigureAwait(false);
            return false;
        }
    }

    /// <summary>What is stored beside a value. An entry from elsewhere lives as long as the namespace says, and has no tags.</summary>
    public static EntryHeader HeaderOf(in KvValue stored)
    {
        if (EntryHeader.TryRead(stored.Metadata, out var header))
        {
            return header;
        }

        var expires = stored.Expiration?.ToUnixTimeMilliseconds() ?? long.MaxValue;
        return new EntryHeader(expires, expires, []);
    }

    /// <summary>The namespace has failed.</summary>
    public void Report(string operation, Exception exception) => _failures.Report(operation, exception);

    /// <summary>The entry of a key counts as missing, in the version that it has now.</summary>
    public async ValueTask HideAsync(string storeKey)
    {
        try
        {
            using var stored = await _kv.GetAsync(storeKey).ConfigureAwait(false);
            if (stored.Exists)
            {
                Hide(storeKey, stored.Revision);
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            // It cannot be read either.
            _failures.Report("get", e);
        }
    }

    /// <summary>An entry counts as missing up to a revision.</summary>
    public void Hide(string storeKey, long revision)
    {
        _hidden.AddOrUpdate(storeKey, revision, (_, before) => Math.Max(before, revision));
        _hasHidden = true;

        // The entry has not changed, so nothing else drops it.
        Entries.Clear();
    }

    /// <summary>A key has changed: versions that are newer than what was hidden are shown.</summary>
    public void Unhide(string storeKey, long revision)
    {
        if (_hasHidden && _hidden.TryGetValue(storeKey, out var hidden) && hidden < revision)
        {
            _hidden.TryRemove(KeyValuePair.Create(storeKey, hidden));
        }
    }

    public void Dispose()
    {
        _observation?.Dispose();
        Entries.Close();
        Clock.Dispose();
    }

    // Called for each change, under a lock of the namespace.
    private void Drop(ReadOnlySpan<byte> utf8Key)
    {
        if (utf8Key.IsEmpty)
        {
            Entries.Close();
        }
        else if (utf8Key.Length <= EntryKeys.KeyBytesMax && Entries.Count > 0)
        {
            Span<char> storeKey = stackalloc char[EntryKeys.KeyBytesMax];
            if (_keys.TryDecode(storeKey[..Encoding.UTF8.GetChars(utf8Key, storeKey)], out var key))
            {
                Entries.Remove(key);
            }
        }
    }

    private KvPutOptions OptionsOf(EntryHeader header, KvMetadata metadata)
    {
        var until = Math.Max(header.Expires, header.LocalExpires);
        var ttl = TimeSpan.FromMilliseconds(until - Clock.Now);
        ttl = ttl > s_ttlMin ? ttl : s_ttlMin;
        var isForever = until > s_lastExpiration.AddDays(-1).ToUnixTimeMilliseconds();
        return new KvPutOptions { Metadata = metadata, ExpirationTtl = isForever ? null : ttl };
    }

    private bool IsHidden(ReadOnlySpan<byte> utf8, long revision) =>
        _hasHidden && _hidden.TryGetValue(Encoding.UTF8.GetString(utf8), out var hidden) && revision <= hidden;

    private bool TryRead<T>(
        string key, HybridCacheEntryFlags flags, EntryHeader header, CachedEntry? known, long revision, ReadOnlyMemory<byte> bytes, out T value)
    {
        try
        {
            value = header.IsNull ? default! : _serializers.Of<T>().Deserialize(new ReadOnlySequence<byte>(bytes[Math.Min(header.TagBytes, bytes.Length)..]));
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Perhaps the program that wrote it was an older one, whose type was another. A miss looks twice, and logs once.
            if (Interlocked.Exchange(ref _lastUnreadable, revision) != revision)
            {
                _logger.DeserializationFailed(VisibleKey.Quote(key), typeof(T), PlaceOf(e));
            }

            value = default!;
            return false;
        }

        if (known is null || ImmutableTypes<T>.IsImmutable)
        {
            Keep(key, _keys.Of(key), flags, header, revision, value);
        }

        return true;
    }

    // The message of an exception may quote the value, which is not for the log.
    private static string PlaceOf(Exception exception) => exception is JsonException json
        ? Invariant($"{nameof(JsonException)} at {json.Path ?? "the beginning"}, line {json.LineNumber + 1}, byte {json.BytePositionInLine}")
        : exception.GetType().ToString();

    // Keeps what the next read needs: the header, and an object that nobody can change.
    private void Keep<T>(string key, string storeKey, HybridCacheEntryFlags flags, EntryHeader header, long revision, T value)
    {
        // The watch finds an entry by its key, which a hash does not tell.
        if ((flags & HybridCacheEntryFlags.DisableLocalCacheWrite) != 0 || !_keys.TryDecode(storeKey, out _))
        {
            return;
        }

        // A copy lies beside the entry in memory, so that a hit loads fewer cache lines.
        var copy = new string(key.AsSpan());
        var entry = ImmutableTypes<T>.IsImmutable
            ? new CachedEntry<T>(copy, revision, header, value)
            : new CachedEntry(copy, revision, header);
        if (!Entries.TryAdd(entry))
        {
            return;
        }

        // A change after this removes the entry: the observation does, or the watch. One that came before is found here.
        if ((_local is not null && (!_local.TryGet(storeKey, out var now) || now.Revision != revision))
            || (_hasHidden && IsHidden(Encoding.UTF8.GetBytes(storeKey), revision)))
        {
            Entries.Remove(entry);
        }
        else if (IsObserved)
        {
            entry.Confirm();
        }
    }
}
