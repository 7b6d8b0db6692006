using System.Text;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Segments;
using KvStore.Values;

namespace KvStore.Writes;

/// <content>
/// Conditional puts. A value that is kept in memory is encoded and committed. Before a stream is read, or a large value stored, the
/// condition is checked as well, so that a put which cannot succeed costs little. Such a put is not a <see cref="PendingCall"/>: it is
/// ordered by its commit, because there its condition must hold.
/// </content>
internal sealed partial class CommitPath
{
    /// <summary>How many writes were not made because their conditions did not hold.</summary>
    public long ConditionFailures => _committer.ConditionFailures;

    /// <summary>Puts text if a condition holds.</summary>
    public ValueTask<KvWriteResult> TryPutAsync<TKey>(
        in TKey key, string text, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        var valueBytes = Encoding.UTF8.GetByteCount(text);
        ValueLimit.Check(valueBytes, _valueBytesMax);
        if (_memory is not null && _committer.TryFindRefusal(key, condition, out var refusal))
        {
            // Without asking for memory, which may be used up.
            return new(refusal);
        }

        return _largeValues.Provider is { } largeValues && valueBytes >= largeValues.ThresholdBytes
            ? TryPutLargeAsync(KeyOf(key), CopyOf(text, valueBytes, largeValues), metadata, deadline, origin, condition, cancellationToken)
            : TryCommitAsync(key, DraftOf(key, text, valueBytes, metadata.Span, deadline), origin, condition, cancellationToken);
    }

    /// <summary>Puts bytes if a condition holds.</summary>
    public ValueTask<KvWriteResult> TryPutAsync<TKey>(
        in TKey key, ReadOnlySpan<byte> value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        ValueLimit.Check(value.Length, _valueBytesMax);
        if (_memory is not null && _committer.TryFindRefusal(key, condition, out var refusal))
        {
            return new(refusal);
        }

        return _largeValues.Provider is { } largeValues && value.Length >= largeValues.ThresholdBytes
            ? TryPutLargeAsync(KeyOf(key), StreamedValue.Copy(value, largeValues), metadata, deadline, origin, condition, cancellationToken)
            : TryCommitAsync(key, DraftOf(key, value, metadata.Span, deadline), origin, condition, cancellationToken);
    }

    /// <summary>Puts the bytes of a stream or pipe if a condition holds, before they are read and at the commit. The deadline is computed then.</summary>
    public async ValueTask<KvWriteResult> TryPutStreamedAsync(
        byte[] key, KvContent content, ReadOnlyMemory<byte> metadata, Func<Deadline> deadline, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
    {
        if (await _committer.FindRefusalAsync(key, condition, cancellationToken).ConfigureAwait(false) is { } refusal)
        {
            return refusal;
        }

        var value = await ReadAsync(key, content, cancellationToken).ConfigureAwait(false);
        await using (value.ConfigureAwait(false))
        {
            return await TryCommitAsync(key, value, metadata, deadline(), origin, condition, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Gives an entry another deadline if a condition holds.</summary>
    /// <returns>Whether the key exists and the condition held.</returns>
    public ValueTask<KvWriteResult> TryTouchAsync<TKey>(
        in TKey key, Deadline deadline, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        if (_memory is not null && _store.TryFind(key, out var record))
        {
            // The record is copied, so there must be room for it. It becomes no larger, so it is admitted in any case.
            _memory.CheckPut(key, record.MetadataBytes, record.ValueBytes);
        }

        return _committer.TryTouchAsync(key, deadline, origin?.BeginWrite(), condition, cancellationToken);
    }

    private async ValueTask<KvWriteResult> TryPutLargeAsync(
        byte[] key, StreamedValue value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
    {
        await using (value.ConfigureAwait(false))
        {
            if (await _committer.FindRefusalAsync(key, condition, cancellationToken).ConfigureAwait(false) is { } refusal)
            {
                return refusal;
            }

            CheckRoomForLarge(new Utf8Key(key), metadata.Length, value.Length);
            await CompleteAsync(key, value, cancellationToken).ConfigureAwait(false);
            return await TryCommitAsync(key, value, metadata, deadline, origin, condition, cancellationToken).ConfigureAwait(false);
        }
    }

    private ValueTask<KvWriteResult> TryCommitAsync(
        byte[] key, StreamedValue value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var utf8Key = new Utf8Key(key);
        return TryCommitAsync(utf8Key, DraftOf(utf8Key, value, metadata.Span, deadline), origin, condition, cancellationToken);
    }

    private ValueTask<KvWriteResult> TryCommitAsync<TKey>(
        in TKey key, in RecordDraft draft, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct =>
        _committer.TryCommitAsync(key, draft, origin is null ? null : BeginWrite(draft, origin), condition, cancellationToken);
}
