using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Values;

namespace KvStore.Writes;

/// <summary>
/// The way of every mutation: encode one record, make it durable where that is asked for, then publish it. The only place
/// that writes to the engine on behalf of a caller.
/// </summary>
/// <remarks>
/// <para>Each mutation has the region where it is made; null where nothing is replicated. A record is complete before it is
/// published, and nothing is published when encoding it or making it durable fails.</para>
/// <para>Of two mutations of a key the one called later wins. Most are decided in the call; a put whose value takes time to read or
/// to store is a <see cref="PendingCall"/> meanwhile, and begins to be one before anything is read.</para>
/// <para>Thread safety: all members, from any thread, but for <see cref="OpenAsync"/>, which comes first.</para>
/// </remarks>
internal sealed class CommitPath
{
    private readonly string _name;
    private readonly ShardedStore _store;
    private readonly int _valueBytesMax;
    private readonly CallOrder _calls = new();
    private readonly WriteAdmission? _admission;

    public CommitPath(string name, ShardedStore store, KvNamespaceOptions options)
    {
        _name = name;
        _store = store;
        _valueBytesMax = options.Limits.ValueBytesMax;
        _admission = WriteAdmission.For(name, options, store, _calls.Lock);
    }

    /// <summary>Makes mutations durable; null for a namespace that lives in memory alone.</summary>
    public MutationLog? Log { get; private set; }

    /// <summary>Whether nothing is taken any more. A stream that is still being read then ends in an exception.</summary>
    public bool IsClosed { get; set; }

    /// <summary>Recovers what a provider keeps, and hands it every mutation from then on.</summary>
    public async ValueTask<KvRecovery> OpenAsync(KvNamespaceOptions options, IKvPersistence persistence, CancellationToken cancellationToken)
    {
        // Those that are replaced before the provider stands ready are none of its concern, or are told afterwards.
        var goneWhileOpening = new ConcurrentQueue<KvValueReference>();
        _store.LargeValueGone = goneWhileOpening.Enqueue;
        var host = new PersistenceHost(_store, options);
        _store.HoldMaintenance();
        var recovery = await persistence.OpenAsync(host, cancellationToken).ConfigureAwait(false);
        host.Dispose();
        var log = new MutationLog(_name, _store, persistence, _calls, _admission) { HasRecoveredDeletes = host.HasRecoveredDeletes };
        _store.ContinueAfter(recovery.HighestRevision);
        _store.ForgetTombstones(recovery.HighestRevision);
        _store.ReleaseMaintenance();
        _store.LargeValueGone = log.Release;
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
        ValueLimit.Check(valueBytes, _valueBytesMax);
        if (Log?.LargeValues is { } largeValues && valueBytes >= largeValues.ThresholdBytes)
        {
            CheckRoomForLarge(key, metadata.Length + valueBytes);
            AllocationProbe.Before();
            var buffer = ArrayPool<byte>.Shared.Rent(valueBytes);
            Encoding.UTF8.GetBytes(text, buffer);
            var value = StreamedValue.Copy(buffer.AsSpan(0, valueBytes), largeValues);
            ArrayPool<byte>.Shared.Return(buffer);
            return PutLargeAsync(KeyOf(key), value, metadata, deadline, origin, cancellationToken);
        }

        var draft = _store.Draft(key, metadata.Length, valueBytes, deadline);
        try
        {
            metadata.Span.CopyTo(draft.Record.DraftMetadata);
            Encoding.UTF8.GetBytes(text, draft.Record.DraftValue);
        }
        catch
        {
            ShardedStore.Abandon(draft);
            throw;
        }

        return CommitAsync(key, draft, origin);
    }

    /// <summary>Puts bytes.</summary>
    public ValueTask PutAsync<TKey>(
        in TKey key, ReadOnlySpan<byte> value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        ValueLimit.Check(value.Length, _valueBytesMax);
        if (Log?.LargeValues is { } largeValues && value.Length >= largeValues.ThresholdBytes)
        {
            CheckRoomForLarge(key, metadata.Length + value.Length);
            return PutLargeAsync(KeyOf(key), StreamedValue.Copy(value, largeValues), metadata, deadline, origin, cancellationToken);
        }

        var draft = _store.Draft(key, metadata.Length, value.Length, deadline);
        metadata.Span.CopyTo(draft.Record.DraftMetadata);
        value.CopyTo(draft.Record.DraftValue);
        return CommitAsync(key, draft, origin);
    }

    /// <summary>Puts what a stream or pipe yields until its end. Its deadline is asked for then.</summary>
    public async ValueTask PutStreamedAsync(
        byte[] key, KvContent content, ReadOnlyMemory<byte> metadata, Func<Deadline> deadline, RegionView? origin, CancellationToken cancellationToken)
    {
        var call = _calls.Begin(key);
        try
        {
            var value = await ReadAsync(key, content, cancellationToken).ConfigureAwait(false);
            await using (value.ConfigureAwait(false))
            {
                await CommitInTurnAsync(call, value, metadata, deadline, origin, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _calls.End(call);
        }
    }

    /// <summary>Deletes a key.</summary>
    public ValueTask DeleteAsync<TKey>(in TKey key, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        var departure = origin?.Depart();
        if (Log is { } log)
        {
            return log.DeleteAsync(key, departure);
        }

        if (_admission is null && _calls.IsEmpty)
        {
            Delete(key, departure);
            return default;
        }

        lock (_calls.Lock)
        {
            _admission?.CheckDelete(key);
            _admission?.Reserve();
            Delete(key, departure);
            _calls.Overtake(key, call: null, Overtaking.Made);
            _admission?.NoteWrite(key);
        }

        return default;
    }

    private static byte[] KeyOf<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        AllocationProbe.Before();
        var bytes = new byte[key.Utf8Bytes];
        key.CopyTo(bytes);
        return bytes;
    }

    private async ValueTask PutLargeAsync(
        byte[] key, StreamedValue value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, CancellationToken cancellationToken)
    {
        var call = _calls.Begin(key);
        try
        {
            await using (value.ConfigureAwait(false))
            {
                await CompleteAsync(key, value, cancellationToken).ConfigureAwait(false);
                await CommitInTurnAsync(call, value, metadata, () => deadline, origin, CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            _calls.End(call);
        }
    }

    private async ValueTask<StreamedValue> ReadAsync(byte[] key, KvContent content, CancellationToken cancellationToken)
    {
        try
        {
            return await StreamedValue.ReadAsync(content, _valueBytesMax, Log?.LargeValues, cancellationToken).ConfigureAwait(false);
        }
        catch (KvPersistenceException e)
        {
            throw NamedEntry.WithNames(e, "PUT", _name, key);
        }
    }

    private async ValueTask CompleteAsync(byte[] key, StreamedValue value, CancellationToken cancellationToken)
    {
        try
        {
            await value.CompleteAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (KvPersistenceException e)
        {
            throw NamedEntry.WithNames(e, "PUT", _name, key);
        }
    }

    private async ValueTask CommitInTurnAsync(
        PendingCall call, StreamedValue value, ReadOnlyMemory<byte> metadata, Func<Deadline> deadline, RegionView? origin, CancellationToken cancellationToken)
    {
        RecordDraft draft;
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            draft = DraftOf(call.Key, value, metadata.Span, deadline());
        }
        catch when (!value.Reference.IsNone)
        {
            Log!.Release(value.Reference);
            throw;
        }

        var departure = DepartureOf(draft, origin);
        if (Log is { } log)
        {
            await log.PutInTurnAsync(call, draft, departure).ConfigureAwait(false);
        }
        else
        {
            PublishInTurn(new Utf8Key(call.Key), draft, departure, call);
        }
    }

    // Before a large value is written; it is checked again when the put is decided.
    private void CheckRoomForLarge<TKey>(in TKey key, long bytes)
        where TKey : struct, IKey, allows ref struct
    {
        if (_admission is not null)
        {
            lock (_calls.Lock)
            {
                _admission.CheckPut(key, key.Utf8Bytes + bytes);
            }
        }
    }

    private RecordDraft DraftOf(byte[] key, StreamedValue value, ReadOnlySpan<byte> metadata, Deadline deadline)
    {
        var utf8Key = new Utf8Key(key);
        var draft = value.Reference.IsNone
            ? _store.Draft(utf8Key, metadata.Length, value.Length, deadline)
            : _store.Draft(utf8Key, metadata.Length, value.Reference, deadline);
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
        var departure = origin is null ? null : DepartureOf(draft, origin);
        if (Log is { } log)
        {
            return log.PutAsync(key, draft, departure);
        }

        if (_admission is null && departure is null && _calls.IsEmpty)
        {
            CheckOpen(draft);
            try
            {
                _store.Publish(key, draft);
            }
            catch
            {
                ShardedStore.Abandon(draft);
                throw;
            }

            return default;
        }

        PublishInTurn(key, draft, departure, call: null);
        return default;
    }

    private Departure? DepartureOf(in RecordDraft draft, RegionView? origin)
    {
        try
        {
            return origin?.Depart();
        }
        catch
        {
            GiveUp(draft);
            throw;
        }
    }

    // In memory alone: decided by the publication.
    private void PublishInTurn<TKey>(in TKey key, in RecordDraft draft, Departure? departure, PendingCall? call)
        where TKey : struct, IKey, allows ref struct
    {
        CheckOpen(draft);
        lock (_calls.Lock)
        {
            if (call?.OvertakenBy is not null)
            {
                if (departure is null)
                {
                    ShardedStore.Abandon(draft);
                    return;
                }

                departure.Lose();
            }

            try
            {
                _admission?.CheckPut(key, draft.Record.LiveBytes);
                _admission?.Reserve();
            }
            catch
            {
                ShardedStore.Abandon(draft);
                throw;
            }

            Publish(key, draft, departure);
            _calls.Overtake(key, call, Overtaking.Made);
            _admission?.NoteWrite(key);
        }
    }

    private void Publish<TKey>(in TKey key, in RecordDraft draft, Departure? departure)
        where TKey : struct, IKey, allows ref struct
    {
        try
        {
            if (departure is null)
            {
                _store.Publish(key, draft);
            }
            else
            {
                _store.Publish(key, draft, revision: 0, departure);
            }
        }
        catch
        {
            // Nothing was published: a publication fails before it changes anything.
            ShardedStore.Abandon(draft);
            throw;
        }

        departure?.Complete(key);
    }

    private void Delete<TKey>(in TKey key, Departure? departure)
        where TKey : struct, IKey, allows ref struct
    {
        _store.Delete(key, departure);
        departure?.Complete(key);
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
            throw DisposedNamespace.Exception(_name);
        }
    }
}
