using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using KvStore.Engine;
using KvStore.Keys;
using KvStore.Replication;
using KvStore.Values;

namespace KvStore.Commit;

/// <summary>
/// The way of every mutation: encode one record, make it durable where that is asked for, then publish it. The only place
/// that writes to the engine on behalf of a caller.
/// </summary>
/// <remarks>
/// Each mutation has the region where it is made; null where nothing is replicated.
/// Thread safety: all members, from any thread, but for <see cref="OpenAsync"/>, which comes first. A record is complete before it
/// is published, and nothing is published when encoding it or making it durable fails.
/// </remarks>
internal sealed class CommitPath(string name, ShardedStore store, WriteAdmission? admission, int valueBytesMax)
{
    /// <summary>Makes mutations durable; null for a namespace that lives in memory alone.</summary>
    public MutationLog? Log { get; private set; }

    /// <summary>Whether nothing is taken any more. A stream that is still being read then ends in an exception.</summary>
    public bool IsClosed { get; set; }

    /// <summary>Recovers what a provider keeps, and hands it every mutation from then on.</summary>
    public async ValueTask<KvRecovery> OpenAsync(KvNamespaceOptions options, IKvPersistence persistence, CancellationToken cancellationToken)
    {
        // Those that are replaced before the provider stands ready are none of its concern, or are told afterwards.
        var goneWhileOpening = new ConcurrentQueue<KvValueReference>();
        store.LargeValueGone = goneWhileOpening.Enqueue;
        var host = new PersistenceHost(store, options);
        store.HoldMaintenance();
        var recovery = await persistence.OpenAsync(host, cancellationToken).ConfigureAwait(false);
        host.Dispose();
        var log = new MutationLog(name, store, persistence);
        store.ContinueAfter(recovery.HighestRevision);
        store.ForgetTombstones(recovery.HighestRevision);
        store.ReleaseMaintenance();
        store.LargeValueGone = log.Release;
        while (goneWhileOpening.TryDequeue(out var gone))
        {
            log.Release(gone);
        }

        host.Log = log;
        Log = log;
        return recovery;
    }

    /// <summary>Puts text.</summary>
    public ValueTask PutAsync<TKey>(
        in TKey key, string text, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        var valueBytes = Encoding.UTF8.GetByteCount(text);
        ValueLimit.Check(valueBytes, valueBytesMax);
        admission?.AdmitPut(key, metadata.Length + valueBytes);
        if (Log?.LargeValues is { } largeValues && valueBytes >= largeValues.ThresholdBytes)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(valueBytes);
            Encoding.UTF8.GetBytes(text, buffer);
            var value = StreamedValue.StoreAsync(buffer.AsSpan(0, valueBytes), largeValues, cancellationToken);
            ArrayPool<byte>.Shared.Return(buffer);
            return PutLargeAsync(KeyOf(key), value, metadata, deadline, origin);
        }

        var draft = store.Draft(key, metadata.Length, valueBytes, deadline);
        metadata.Span.CopyTo(draft.Record.DraftMetadata);
        Encoding.UTF8.GetBytes(text, draft.Record.DraftValue);
        return CommitAsync(key, draft, origin);
    }

    /// <summary>Puts bytes.</summary>
    public ValueTask PutAsync<TKey>(
        in TKey key, ReadOnlySpan<byte> value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        ValueLimit.Check(value.Length, valueBytesMax);
        admission?.AdmitPut(key, metadata.Length + value.Length);
        if (Log?.LargeValues is { } largeValues && value.Length >= largeValues.ThresholdBytes)
        {
            return PutLargeAsync(KeyOf(key), StreamedValue.StoreAsync(value, largeValues, cancellationToken), metadata, deadline, origin);
        }

        var draft = store.Draft(key, metadata.Length, value.Length, deadline);
        metadata.Span.CopyTo(draft.Record.DraftMetadata);
        value.CopyTo(draft.Record.DraftValue);
        return CommitAsync(key, draft, origin);
    }

    /// <summary>Puts what a stream or pipe yields until its end. Its deadline is asked for then.</summary>
    public async ValueTask PutStreamedAsync(
        byte[] key, KvContent content, ReadOnlyMemory<byte> metadata, Func<Deadline> deadline, RegionView? origin, CancellationToken cancellationToken)
    {
        var value = await StreamedValue.ReadAsync(content, valueBytesMax, Log?.LargeValues, cancellationToken).ConfigureAwait(false);
        await using (value.ConfigureAwait(false))
        {
            Deadline at;
            try
            {
                cancellationToken.ThrowIfCancellationRequested();
                admission?.AdmitPut(new Utf8Key(key), metadata.Length + value.Length);
                at = deadline();
            }
            catch when (!value.Reference.IsNone)
            {
                Log!.Release(value.Reference);
                throw;
            }

            await CommitAsync(new Utf8Key(key), DraftOf(key, value, metadata.Span, at), origin).ConfigureAwait(false);
        }
    }

    /// <summary>Deletes a key.</summary>
    public ValueTask DeleteAsync<TKey>(in TKey key, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        admission?.AdmitDelete(key);
        var departure = origin?.Depart();
        if (Log is { } log)
        {
            return log.DeleteAsync(key, departure);
        }

        store.Delete(key, departure);
        departure?.Complete(key);
        return default;
    }

    private static byte[] KeyOf<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var bytes = new byte[key.Utf8Bytes];
        key.CopyTo(bytes);
        return bytes;
    }

    private async ValueTask PutLargeAsync(byte[] key, ValueTask<StreamedValue> storing, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin)
    {
        var value = await storing.ConfigureAwait(false);
        await using (value.ConfigureAwait(false))
        {
            await CommitAsync(new Utf8Key(key), DraftOf(key, value, metadata.Span, deadline), origin).ConfigureAwait(false);
        }
    }

    private RecordDraft DraftOf(byte[] key, StreamedValue value, ReadOnlySpan<byte> metadata, Deadline deadline)
    {
        var utf8Key = new Utf8Key(key);
        var draft = value.Reference.IsNone
            ? store.Draft(utf8Key, metadata.Length, value.Length, deadline)
            : store.Draft(utf8Key, metadata.Length, value.Reference, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        if (value.Reference.IsNone)
        {
            value.CopyTo(draft.Record.DraftValue);
        }

        return draft;
    }

    private ValueTask CommitAsync<TKey>(in TKey key, in RecordDraft draft, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        if (origin is not null)
        {
            return CommitFromRegionAsync(key, draft, origin);
        }

        if (Log is { } log)
        {
            return log.PutAsync(key, draft);
        }

        CheckOpen(draft);
        store.Publish(key, draft);
        return default;
    }

    private ValueTask CommitFromRegionAsync<TKey>(in TKey key, in RecordDraft draft, RegionView origin)
        where TKey : struct, IKey, allows ref struct
    {
        Departure departure;
        try
        {
            departure = origin.Depart();
        }
        catch
        {
            GiveUp(draft);
            throw;
        }

        if (Log is { } log)
        {
            return log.PutAsync(key, draft, departure);
        }

        CheckOpen(draft);
        store.Publish(key, draft, revision: 0, departure);
        departure.Complete(key);
        return default;
    }

    private void GiveUp(in RecordDraft draft)
    {
        if (Log is { } log)
        {
            log.GiveUp(draft);
        }
        else
        {
            ShardedStore.Abandon(draft);
        }
    }

    private void CheckOpen(in RecordDraft draft)
    {
        if (IsClosed)
        {
            ShardedStore.Abandon(draft);
            throw DisposedNamespace.Exception(name);
        }
    }
}
