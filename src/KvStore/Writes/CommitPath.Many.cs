using System.Text;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Segments;
using KvStore.Values;

namespace KvStore.Writes;

/// <content>Many mutations of one call.</content>
internal sealed partial class CommitPath
{
    private const long FlushedBytesMax = 16 * 1024 * 1024;
    private const int FlushedEntriesMax = 16 * 1024;

    // Where entries are published at once, a group is so small that its records stay in the cache until then.
    private const int PublishedEntriesMax = 64;

    // The memory of what is not published yet cannot be cleaned.
    private const int GroupsPerBudget = 16;

    // What is in flight is compared with every write that comes near a limit.
    private const int LimitedEntriesMax = 256;

    /// <summary>The most drafts that are best committed together.</summary>
    public int GroupEntriesMax =>
        _committer.IsDirect ? PublishedEntriesMax : _admission is { IsLimited: true } ? LimitedEntriesMax : FlushedEntriesMax;

    /// <summary>No draft is added to a group that takes so many bytes or more.</summary>
    public long GroupBytesMax => Math.Min(FlushedBytesMax, _store.BudgetBytes / GroupsPerBudget);

    /// <summary>
    /// Whether a group may be committed before the one before it has completed: the engine makes no write of a call after one that failed.
    /// </summary>
    public bool IsAhead => Engine is not null;

    /// <summary>Whether <see cref="CheckMany"/> may refuse anything.</summary>
    public bool HasAdmission => _admission is not null;

    /// <summary>Checks the writes of one call against the limits of the namespace: see <see cref="WriteAdmission.CheckMany"/>.</summary>
    public void CheckMany(string operation, IReadOnlyList<byte[]> keys, IReadOnlyList<long>? bytes, ref int current)
    {
        if (_admission is not null)
        {
            lock (_calls.Lock)
            {
                _admission.CheckMany(operation, keys, bytes, ref current);
            }
        }
    }

    /// <summary>Whether a text or bytes are kept in a file of their own.</summary>
    public bool IsLarge(KvContent content) =>
        _largeValues.Provider is { } largeValues
            && (content.Text is { } text ? IsAsLong(text, largeValues.ThresholdBytes) : content.Bytes.Length >= largeValues.ThresholdBytes);

    // No UTF-16 unit takes more than three bytes, so that most text need not be counted.
    private static bool IsAsLong(string text, int bytes) => text.Length * 3L >= bytes && Encoding.UTF8.GetByteCount(text) >= bytes;

    /// <summary>Fetches the words of the search for a key that is drafted soon.</summary>
    public void Prefetch(ulong hash) => _store.PrefetchBucket(hash);

    /// <summary>Whether mutations are published where they are decided.</summary>
    public bool IsDirect => _committer.IsDirect;

    /// <summary>Drafts the put of a text or bytes.</summary>
    public RecordDraft DraftOf<TKey>(in TKey key, KvContent content, ReadOnlySpan<byte> metadata, Deadline deadline)
        where TKey : struct, IKey, allows ref struct =>
        content.Text is { } text
            ? DraftOf(key, text, Encoding.UTF8.GetByteCount(text), metadata, deadline)
            : DraftOf(key, content.Bytes.Span, metadata, deadline);

    /// <summary>Publishes drafts in memory alone, up to the first one that fails; the rest are abandoned.</summary>
    /// <returns>How many were published; none while a call is pending.</returns>
    public int PublishDirectly(ReadOnlySpan<RecordDraft> drafts, ReadOnlySpan<ulong> hashes)
    {
        var published = _committer.PublishDirectly(drafts, hashes);
        for (var i = published; i < drafts.Length; i++)
        {
            _store.Abandon(drafts[i]);
        }

        return published;
    }

    /// <summary>Drafts the put of a text or bytes, and adds it to a group.</summary>
    public void AddPut<TKey>(
        WriteGroup group, int entry, in TKey key, KvContent content, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, PendingCall? call)
        where TKey : struct, IKey, allows ref struct
    {
        group.Reserve();
        var draft = DraftOf(key, content, metadata.Span, deadline);
        group.Add(new WriteGroup.Item(entry, draft, Key: null, key.Hash, BeginWrite(draft, origin), call, Check: null));
    }

    /// <summary>Adds the delete of a key to a group.</summary>
    /// <param name="group">The group.</param>
    /// <param name="entry">The number of the key in the call.</param>
    /// <param name="key">The key in UTF-8, which is not copied.</param>
    /// <param name="origin">The region in which the delete is made; null where the namespace is not replicated.</param>
    /// <param name="condition">What must hold; null to delete the key in any case.</param>
    /// <param name="call">The delete in the order of the calls, where something was waited for before it; null while nothing was.</param>
    public void AddDelete(WriteGroup group, int entry, byte[] key, RegionView? origin, KvCondition? condition, PendingCall? call)
    {
        group.Reserve();
        var replicated = origin?.BeginWrite();
        AllocationProbe.Before();
        var check = new ConditionCheck(condition, _store, replicated);
        group.Add(new WriteGroup.Item(entry, Draft: default, key, KeyHash.OfUtf8(key), replicated, call, check));
    }

    /// <summary>Commits a group. When one fails, those after it are abandoned.</summary>
    public void Commit(WriteGroup group)
    {
        try
        {
            _committer.CommitGroup(group);
        }
        catch
        {
            // The one that failed was abandoned where it failed.
            Abandon(group, group.Committed + 1);
            throw;
        }
    }

    /// <summary>Abandons the drafts of a group from one of them on.</summary>
    public void Abandon(WriteGroup group, int first)
    {
        for (var i = first; i < group.Count; i++)
        {
            if (group.Items[i].Draft is { IsNone: false } draft)
            {
                _store.Abandon(draft);
            }
        }
    }

    /// <summary>Begins a call whose mutation is decided later: see <see cref="CallOrder"/>. <see cref="End"/> follows.</summary>
    public PendingCall Begin(byte[] key) => _calls.Begin(key);

    public void End(PendingCall call) => _calls.End(call);

    /// <summary>Puts a stream, or a value that is kept in a file of its own, in the order of the calls.</summary>
    public async ValueTask PutInTurnAsync(
        PendingCall call, KvContent content, ReadOnlyMemory<byte> metadata, Func<Deadline> deadline, RegionView? origin, CancellationToken cancellationToken)
    {
        var value = content.IsStreamed
            ? await ReadAsync(call.Key, content, cancellationToken).ConfigureAwait(false)
            : CopyLarge(call, content, metadata.Length);
        await using (value.ConfigureAwait(false))
        {
            if (!content.IsStreamed)
            {
                await CompleteAsync(call.Key, value, cancellationToken).ConfigureAwait(false);
            }

            cancellationToken.ThrowIfCancellationRequested();
            await CommitInTurnAsync(call, value, metadata, deadline(), origin).ConfigureAwait(false);
        }
    }

    private StreamedValue CopyLarge(PendingCall call, KvContent content, int metadataBytes)
    {
        var bytes = content.Text is { } text ? Encoding.UTF8.GetBytes(text) : content.Bytes;
        CheckRoomForLarge(new Utf8Key(call.Key, call.Hash), metadataBytes, bytes.Length);
        return StreamedValue.Copy(bytes.Span, _largeValues.Provider!);
    }
}
