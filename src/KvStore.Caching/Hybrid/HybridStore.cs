using System.Buffers;
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
internal sealed partial class HybridStore : IDisposable
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

    private readonly HiddenEntries _hidden = new();
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
        Watch = new HybridWatch(this, logger);
        if (!IsObserved)
        {
            Watch.Start();
        }
    }

    /// <summary>The namespace.</summary>
    public IKvExtendedNamespace Namespace => _kv;

    /// <summary>What is known in memory.</summary>
    public CachedEntries Entries { get; }

    /// <summary>Which entries have a tag.</summary>
    public TagIndex Tags { get; } = new();

    /// <summary>Finds the tags of entries. Started by whoever needs <see cref="Tags"/>.</summary>
    public HybridWatch Watch { get; }

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
    public Look TryFind<T>(string key, HybridCacheEntryFlags flags, out T value)
    {
        value = default!;
        if (_local is null)
        {
            return Look.Waits;
        }

        Span<byte> utf8 = stackalloc byte[EntryKeys.KeyBytesMax];
        utf8 = utf8[.._keys.Encode(key, utf8)];
        KvValue stored;
        try
        {
            if (!_local.TryGet(utf8, out stored))
            {
                return Look.Missing;
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            _failures.Report("get", e);
            return Look.Failed;
        }

        var known = Entries.Find(key);
        known = known?.Revision == stored.Revision ? known : null;
        if (known is null && stored.IsLarge)
        {
            stored.Dispose();
            return Look.Waits;
        }

        var header = known?.Header ?? HeaderOf(stored);
        if (Clock.HasPassed(EntryPlan.DeadlineOf(header, flags)) || _hidden.Contains(utf8, stored.Revision))
        {
            stored.Dispose();
            return Look.Missing;
        }

        if (known is CachedEntry<T> hit && (flags & HybridCacheEntryFlags.DisableLocalCacheRead) == 0)
        {
            value = hit.Value;
            stored.Dispose();
            return Look.Found;
        }

        if (stored.IsLarge)
        {
            stored.Dispose();
            return Look.Waits;
        }

        return TryRead(key, flags, header, known, stored.Revision, stored.GetBytes(), out value) ? Look.Found : Look.Missing;
    }

    /// <summary>Looks for a value, and waits for a value in a file.</summary>
    public async ValueTask<(Look Look, T Value)> FindAsync<T>(string key, HybridCacheEntryFlags flags, CancellationToken cancellationToken)
    {
        if (TryFind<T>(key, flags, out var found) is var look and not Look.Waits)
        {
            return (look, found);
        }

        try
        {
            var storeKey = _keys.Of(key);
            using var stored = await _kv.GetAsync(storeKey, options: null, cancellationToken).ConfigureAwait(false);
            if (!stored.Exists)
            {
                return (Look.Missing, default!);
            }

            var header = HeaderOf(stored);
            if (Clock.HasPassed(EntryPlan.DeadlineOf(header, flags)) || _hidden.Contains(Encoding.UTF8.GetBytes(storeKey), stored.Revision))
            {
                return (Look.Missing, default!);
            }

            var bytes = await stored.ReadBytesAsync(cancellationToken).ConfigureAwait(false);
            return (TryRead<T>(key, flags, header, known: null, stored.Revision, bytes, out var value) ? Look.Found : Look.Missing, value);
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            _failures.Report("get", e);
            return (Look.Failed, default!);
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
            Watch.Start();
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

            // Of a type that callers may change, the first read keeps what it needs.
            var entry = ImmutableTypes<T>.IsImmutable ? new CachedEntry<T>(Copy(key), 0, header, value) : new CachedEntry(Copy(key), 0, header);
            revision = IsObserved
                ? KeepWritten(entry, storeKey, plan.Flags, metadata, payload.Span)
                : await KeepWrittenElsewhereAsync(entry, storeKey, plan.Flags, metadata, payload).ConfigureAwait(false);
            Unhide(storeKey, revision);
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
        Watch.Start();
        _hidden.Add(storeKey, revision);

        // The entry has not changed, so nothing else drops it.
        Entries.Clear();
    }

    /// <summary>A key has changed: versions that are newer than what was hidden are shown.</summary>
    public void Unhide(string storeKey, long revision) => _hidden.Forget(storeKey, revision);

    public void Dispose()
    {
        Watch.Dispose();
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

    private bool TryRead<T>(
        string key, HybridCacheEntryFlags flags, EntryHeader header, CachedEntry? known, long revision, ReadOnlyMemory<byte> bytes, out T value)
    {
        var payload = bytes[Math.Min(header.TagBytes, bytes.Length)..];
        try
        {
            value = header.IsNull ? default! : _serializers.Of<T>().Deserialize(new ReadOnlySequence<byte>(payload));
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

        if (known is not (CachedEntry<T> or SerializedEntry<T>))
        {
            Keep(EntryOf(key, revision, header, value, payload.Span), flags);
        }

        return true;
    }

    /// <summary>Where a value could not be read. The message of an exception may quote the value, which is not for the log.</summary>
    public static string PlaceOf(Exception exception) => exception is JsonException json
        ? Invariant($"{nameof(JsonException)} at {json.Path ?? "the beginning"}, line {json.LineNumber + 1}, byte {json.BytePositionInLine}")
        : exception.GetType().ToString();

    private bool IsHidden(string storeKey, long revision) => _hidden.IsUsed && _hidden.Contains(Encoding.UTF8.GetBytes(storeKey), revision);
}
