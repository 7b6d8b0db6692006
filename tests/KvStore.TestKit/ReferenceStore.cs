using System.Text;
using KvStore.Rules;

namespace KvStore.TestKit;

/// <summary>
/// The whole binding as plainly as it can be written: one lock, one sorted set of entries in the order of their keys' UTF-8
/// bytes, and a clock. It shares no code with what it is compared with: its rules are its own too.
/// </summary>
public sealed class ReferenceStore(string name, TimeProvider time, KvLimits? limits = null) : IKvNamespace
{
    private readonly KvLimits _limits = limits ?? new KvLimits();
    private readonly SortedSet<Entry> _entries = new(Entry.ByKey);
    private readonly Lock _gate = new();

    public string Name => name;

    /// <summary>The number of entries that have not expired.</summary>
    public long Count => CountAt(time.GetUtcNow());

    /// <summary>The number of entries that had not expired at a time.</summary>
    public long CountAt(DateTimeOffset at)
    {
        lock (_gate)
        {
            return _entries.Count(entry => entry.IsAlive(at));
        }
    }

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ReferenceRules.CheckSeconds(options?.CacheTtl);
        var utf8 = ReferenceRules.EncodeKey(key, _limits, "GET");
        ReferenceRules.CheckCacheTtl(options, _limits, "GET");
        return new(Find(utf8));
    }

    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(keys);
        cancellationToken.ThrowIfCancellationRequested();
        ReferenceRules.CheckSeconds(options?.CacheTtl);
        ReferenceRules.CheckKeyCount(keys.Count, _limits);
        var found = new OrderedDictionary<string, KvValue>();
        var totalBytes = 0L;
        foreach (var key in keys)
        {
            var utf8 = ReferenceRules.EncodeKeyAmongMany(key, _limits);
            ReferenceRules.CheckCacheTtl(options, _limits, "GET_BULK");
            var value = utf8 is null ? default : Find(utf8);
            found.TryAdd(key, value);
            totalBytes += value.Length;
        }

        ReferenceRules.CheckTotal(totalBytes, _limits);
        return new(found);
    }

    public async ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var utf8 = ReferenceRules.EncodeKey(key, _limits, "PUT");
        var deadline = ReferenceRules.Deadline(options, _limits, time.GetUtcNow());
        var metadata = ReferenceRules.CompactMetadata(options, _limits);
        var value = await ReadAsync(content, cancellationToken);
        ReferenceRules.CheckValue(value.Length, _limits);
        cancellationToken.ThrowIfCancellationRequested();
        deadline = options?.ExpirationTtl is null ? deadline : ReferenceRules.Deadline(options, _limits, time.GetUtcNow());
        lock (_gate)
        {
            var entry = new Entry(utf8, value, metadata, deadline);
            _entries.Remove(entry);
            _entries.Add(entry);
        }
    }

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var utf8 = ReferenceRules.EncodeKey(key, _limits, "DELETE");
        lock (_gate)
        {
            _entries.Remove(Entry.Probe(utf8));
        }

        return default;
    }

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var limit = ReferenceRules.ListLimit(options, _limits);
        var prefix = ReferenceRules.EncodePrefix(options?.Prefix, _limits);
        var after = ReferenceCursor.Parse(options?.Cursor);
        if (prefix is null)
        {
            return new(new KvListPage([], cursor: null));
        }

        // The least key with the prefix that is greater than the cursor's, and a bound that no UTF-8 reaches.
        byte[] behindCursor = after is null ? [] : [.. after, 0];
        var least = prefix.AsSpan().SequenceCompareTo(behindCursor) >= 0 ? prefix : behindCursor;
        byte[] bound = [.. prefix, 0xFF];
        lock (_gate)
        {
            if (least.AsSpan().SequenceCompareTo(bound) > 0)
            {
                return new(new KvListPage([], cursor: null));
            }

            var now = time.GetUtcNow();
            var alive = _entries.GetViewBetween(Entry.Probe(least), Entry.Probe(bound))
                .Where(entry => entry.IsAlive(now)).Take(limit + 1).ToList();
            var page = alive.Take(limit).ToList();
            return new(new KvListPage(
                [.. page.Select(entry => new KvListKey(Encoding.UTF8.GetString(entry.Key), entry.Expiration, entry.Metadata))],
                alive.Count > limit ? ReferenceCursor.After(page[^1].Key) : null));
        }
    }

    private KvValue Find(byte[] key)
    {
        lock (_gate)
        {
            return _entries.TryGetValue(Entry.Probe(key), out var entry) && entry.IsAlive(time.GetUtcNow())
                ? KvValue.Create(entry.Value, entry.Metadata, entry.Expiration)
                : default;
        }
    }

    private async ValueTask<byte[]> ReadAsync(KvContent content, CancellationToken cancellationToken)
    {
        if (content.Text is { } text)
        {
            return Encoding.UTF8.GetBytes(text);
        }

        if (!content.IsStreamed)
        {
            return content.Bytes.ToArray();
        }

        var source = content.Stream ?? content.Pipe!.AsStream(leaveOpen: true);
        using var read = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (await source.ReadAsync(buffer, cancellationToken) is var count && count > 0)
        {
            read.Write(buffer, 0, count);
            ReferenceRules.CheckValue(read.Length, _limits);
        }

        return read.ToArray();
    }

    private sealed record Entry(byte[] Key, byte[] Value, KvMetadata Metadata, ReferenceRules.ReferenceDeadline? Deadline)
    {
        public static IComparer<Entry> ByKey { get; } =
            Comparer<Entry>.Create((left, right) => left.Key.AsSpan().SequenceCompareTo(right.Key));

        public DateTimeOffset? Expiration =>
            Deadline is { } deadline ? DateTimeOffset.FromUnixTimeSeconds(deadline.ShownSeconds) : null;

        public static Entry Probe(byte[] key) => new(key, [], default, null);

        public bool IsAlive(DateTimeOffset now) => Deadline is not { } deadline || deadline.GoneHalfSeconds * 5_000_000 > now.UtcTicks - DateTimeOffset.UnixEpoch.Ticks;
    }
}
