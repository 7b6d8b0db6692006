using System.Text;
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

    /// <summary>Whether a value of this length is kept in a file of its own.</summary>
    public bool IsLarge(int valueBytes) => _largeValues.Provider is { } largeValues && valueBytes >= largeValues.ThresholdBytes;

    /// <summary>Fetches the words of the search for a key that is drafted soon.</summary>
    public void Prefetch(ulong hash) => _store.PrefetchBucket(hash);

    /// <summary>Drafts the put of a text or bytes, and adds it to a group.</summary>
    public void AddPut<TKey>(
        WriteGroup group, int entry, in TKey key, KvContent content, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, PendingCall? call)
        where TKey : struct, IKey, allows ref struct
    {
        group.Reserve();
        var text = content.Text;
        var valueBytes = text is null ? content.Bytes.Length : Encoding.UTF8.GetByteCount(text);
        _memory?.CheckPut(key, metadata.Length, valueBytes);
        var draft = _store.Draft(key, metadata.Length, valueBytes, deadline);
        try
        {
            metadata.Span.CopyTo(draft.Record.DraftMetadata);
            if (text is null)
            {
                content.Bytes.Span.CopyTo(draft.Record.DraftValue);
            }
            else
            {
                Encoding.UTF8.GetBytes(text, draft.Record.DraftValue);
            }
        }
        catch
        {
            _store.Abandon(draft);
            throw;
        }

        group.Add(new WriteGroup.Item(entry, draft, Key: null, key.Hash, BeginWrite(draft, origin), call));
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
            ? await ReadAsync(call, content, cancellationToken).ConfigureAwait(false)
            : CopyLarge(call, content, metadata.Length);
        await using (value.ConfigureAwait(false))
        {
            if (!content.IsStreamed)
            {
                await CompleteAsync(call, value, cancellationToken).ConfigureAwait(false);
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
