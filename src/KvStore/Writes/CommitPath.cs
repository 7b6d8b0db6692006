using System.Buffers;
using System.Text;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Segments;
using KvStore.Values;
using KvStore.Watching;

namespace KvStore.Writes;

/// <summary>
/// The write path: encodes the value of each mutation into a draft, and commits it.
/// </summary>
/// <remarks>
/// <para>A mutation may have the region where it is made; null where nothing is replicated. A record is complete before it is
/// committed, and nothing is visible when encoding it or making it durable fails.</para>
/// <para>Of two mutations of a key the one called later wins. Most are decided in the call; a put whose value takes time to read or
/// to store is a <see cref="PendingCall"/> meanwhile, which begins before anything is read.</para>
/// <para>Thread safety: all members, from any thread; <see cref="OpenAsync"/> comes first.</para>
/// </remarks>
internal sealed partial class CommitPath
{
    private readonly string _name;
    private readonly ShardedStore _store;
    private readonly LargeValueLeases _largeValues;
    private readonly int _valueBytesMax;
    private readonly CallOrder _calls = new();
    private readonly WriteAdmission? _admission;
    private readonly MemoryAdmission? _memory;
    private readonly Committer _committer;
    private bool _isProviderOpen;
    private bool _isEngineOpen;

    public CommitPath(string name, ShardedStore store, LargeValueLeases largeValues, KvNamespaceOptions options)
    {
        _name = name;
        _store = store;
        _largeValues = largeValues;
        _valueBytesMax = options.Limits.ValueBytesMax;
        Persistence = options.Persistence;
        Engine = options.Engine;
        _admission = WriteAdmission.For(name, options, store, _calls.Lock);
        _memory = MemoryAdmission.For(name, store);
        _committer = new Committer(name, store, options.Persistence, options.Engine, _calls, _admission);
        if (Persistence is not null && store.Evicts)
        {
            store.EvictDurably = _committer.Evict;
        }
    }

    /// <summary>Makes mutations durable; null for a namespace that lives in memory alone.</summary>
    public IKvPersistence? Persistence { get; }

    /// <summary>Decides and orders the writes that several processes make; null for a namespace of this process alone.</summary>
    public IKvEngine? Engine { get; }

    /// <summary>Loads what the engine has. It decides every write from then on.</summary>
    public async ValueTask<KvRecovery> OpenEngineAsync(KvNamespaceOptions options, Action<string?> refuseReads, CancellationToken cancellationToken)
    {
        var engine = Engine ?? throw new InvalidOperationException("The namespace has no engine.");
        var host = new EngineHost(_name, _store, _committer.Epochs, options, refuseReads);
        _largeValues.Open();
        _store.HoldMaintenance();
        _store.ExpectLate(arrivedThrough: 0);
        _store.HasForeignRevisions = true;
        var recovery = await engine.OpenAsync(host, cancellationToken).ConfigureAwait(false);
        _isEngineOpen = true;
        host.Open(recovery.HighestRevision);
        _store.ReleaseMaintenance();
        return recovery;
    }

    /// <summary>Recovers what the provider keeps. It receives every mutation from then on.</summary>
    public async ValueTask<KvRecovery> OpenAsync(KvNamespaceOptions options, CancellationToken cancellationToken)
    {
        var persistence = Persistence ?? throw new InvalidOperationException("A namespace in memory alone has nothing to recover.");
        using var host = new PersistenceHost(_store, _committer, options);
        _store.HoldMaintenance();
        _store.ExpectLate(arrivedThrough: 0);
        var recovery = await persistence.OpenAsync(host, cancellationToken).ConfigureAwait(false);
        _isProviderOpen = true;
        var hasDeletes = host.EndRecovery();
        _store.BeginRevisionsAfter(
            FirstRevision.After(Math.Max(recovery.HighestRevision, _store.Revision), options.TimeProvider.GetUtcNow()));
        _store.ExpectNoLate();
        _store.ForgetTombstones(recovery.HighestRevision);
        _largeValues.Open();
        _committer.Open(hasDeletes);
        _store.ReleaseMaintenance();
        return recovery;
    }

    /// <summary>Completes when every mutation up to a revision that was appended is visible, or has failed.</summary>
    public Task WhenSettledAsync(long throughRevision) => _committer.WhenSettledAsync(throughRevision);

    /// <summary>Takes no more mutations. A stream that is still being read ends in an exception.</summary>
    public void Close() => _committer.Close();

    /// <summary>Makes durable what was taken, and closes the provider. Requires: <see cref="Close"/> was called.</summary>
    public async ValueTask CloseProviderAsync()
    {
        if (_isEngineOpen)
        {
            await Engine!.DisposeAsync().ConfigureAwait(false);

            // What the engine has committed is published before the memory is freed.
            await _committer.Epochs.WhenIdle().ConfigureAwait(false);
        }

        if (!_isProviderOpen)
        {
            return;
        }

        try
        {
            await Persistence!.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            await _committer.WhenSettledAsync(long.MaxValue - 1).ConfigureAwait(false);
        }
    }

    /// <summary>Puts text.</summary>
    public ValueTask PutAsync<TKey>(
        in TKey key, string text, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        var valueBytes = Encoding.UTF8.GetByteCount(text);
        ValueLimit.Check(valueBytes, _valueBytesMax);
        if (_largeValues.Provider is { } largeValues && valueBytes >= largeValues.ThresholdBytes)
        {
            CheckRoomForLarge(key, metadata.Length, valueBytes);
            return PutLargeAsync(KeyOf(key), CopyOf(text, valueBytes, largeValues), metadata, deadline, origin, cancellationToken);
        }

        return CommitAsync(key, DraftOf(key, text, valueBytes, metadata.Span, deadline), origin);
    }

    /// <summary>Puts bytes.</summary>
    public ValueTask PutAsync<TKey>(
        in TKey key, ReadOnlySpan<byte> value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        ValueLimit.Check(value.Length, _valueBytesMax);
        if (_largeValues.Provider is { } largeValues && value.Length >= largeValues.ThresholdBytes)
        {
            CheckRoomForLarge(key, metadata.Length, value.Length);
            return PutLargeAsync(KeyOf(key), StreamedValue.Copy(value, largeValues), metadata, deadline, origin, cancellationToken);
        }

        return CommitAsync(key, DraftOf(key, value, metadata.Span, deadline), origin);
    }

    /// <summary>Puts the bytes of a stream or pipe, read to its end. The deadline is computed then.</summary>
    public async ValueTask PutStreamedAsync(
        byte[] key, KvContent content, ReadOnlyMemory<byte> metadata, Func<Deadline> deadline, RegionView? origin, CancellationToken cancellationToken)
    {
        var call = _calls.Begin(key);
        try
        {
            var value = await ReadAsync(key, content, cancellationToken).ConfigureAwait(false);
            await using (value.ConfigureAwait(false))
            {
                cancellationToken.ThrowIfCancellationRequested();
                await CommitInTurnAsync(call, value, metadata, deadline(), origin).ConfigureAwait(false);
            }
        }
        finally
        {
            _calls.End(call);
        }
    }

    /// <summary>Deletes a key.</summary>
    public ValueTask DeleteAsync<TKey>(in TKey key, RegionView? origin)
        where TKey : struct, IKey, allows ref struct => CommitAsync(key, draft: default, origin);

    /// <summary>Deletes a key if a condition holds.</summary>
    public ValueTask<KvWriteResult> TryDeleteAsync<TKey>(
        in TKey key, RegionView? origin, KvCondition condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct =>
        _committer.TryCommitAsync(key, draft: default, origin?.BeginWrite(), condition, cancellationToken);

    /// <summary>Every mutation from elsewhere up to a revision has arrived: see <see cref="ShardedStore.ExpectLate"/>.</summary>
    public void ExpectLate(long arrivedThrough) => _committer.ExpectLate(arrivedThrough);

    private RecordDraft DraftOf<TKey>(in TKey key, string text, int valueBytes, ReadOnlySpan<byte> metadata, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        _memory?.CheckPut(key, metadata.Length, valueBytes);
        var draft = _store.Draft(key, metadata.Length, valueBytes, deadline);
        try
        {
            metadata.CopyTo(draft.Record.DraftMetadata);
            Encoding.UTF8.GetBytes(text, draft.Record.DraftValue);
            return draft;
        }
        catch
        {
            _store.Abandon(draft);
            throw;
        }
    }

    private RecordDraft DraftOf<TKey>(in TKey key, ReadOnlySpan<byte> value, ReadOnlySpan<byte> metadata, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        _memory?.CheckPut(key, metadata.Length, value.Length);
        var draft = _store.Draft(key, metadata.Length, value.Length, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        value.CopyTo(draft.Record.DraftValue);
        return draft;
    }

    private static StreamedValue CopyOf(string text, int valueBytes, IKvLargeValues largeValues)
    {
        AllocationProbe.Before();
        var buffer = ArrayPool<byte>.Shared.Rent(valueBytes);
        Encoding.UTF8.GetBytes(text, buffer);
        var value = StreamedValue.Copy(buffer.AsSpan(0, valueBytes), largeValues);
        ArrayPool<byte>.Shared.Return(buffer);
        return value;
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
                await CommitInTurnAsync(call, value, metadata, deadline, origin).ConfigureAwait(false);
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
            return await StreamedValue.ReadAsync(content, _valueBytesMax, _largeValues.Provider, cancellationToken).ConfigureAwait(false);
        }
        catch (KvPersistenceException e)
        {
            throw NamedFailure.WithNames(e, "PUT", _name, new Utf8Key(key));
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
            throw NamedFailure.WithNames(e, "PUT", _name, new Utf8Key(key));
        }
    }

    private ValueTask<long> CommitInTurnAsync(PendingCall call, StreamedValue value, ReadOnlyMemory<byte> metadata, Deadline deadline, RegionView? origin)
    {
        var draft = DraftOf(new Utf8Key(call.Key, call.Hash), value, metadata.Span, deadline);
        return _committer.CommitInTurnAsync(call, draft, BeginWrite(draft, origin));
    }

    // Before a large value is written; it is checked again when the put is decided.
    private void CheckRoomForLarge<TKey>(in TKey key, int metadataBytes, int valueBytes)
        where TKey : struct, IKey, allows ref struct
    {
        _memory?.CheckPut(key, metadataBytes, Record.ReferenceBytes);
        if (_admission is not null)
        {
            lock (_calls.Lock)
            {
                _admission.CheckPut(key, key.Utf8Bytes + (long)metadataBytes + valueBytes);
            }
        }
    }

    private RecordDraft DraftOf(in Utf8Key key, StreamedValue value, ReadOnlySpan<byte> metadata, Deadline deadline)
    {
        _memory?.CheckPut(key, metadata.Length, value.Reference.IsNone ? value.Length : Record.ReferenceBytes);
        RecordDraft draft;
        if (value.Reference.IsNone)
        {
            draft = _store.Draft(key, metadata.Length, value.Length, deadline);
            value.CopyTo(draft.Record.DraftValue);
        }
        else
        {
            draft = _store.Draft(key, metadata.Length, value.Reference, deadline);
            value.HandOver();
        }

        metadata.CopyTo(draft.Record.DraftMetadata);
        return draft;
    }

    private ValueTask CommitAsync<TKey>(in TKey key, in RecordDraft draft, RegionView? origin)
        where TKey : struct, IKey, allows ref struct =>
        _committer.CommitAsync(key, draft, origin is null ? null : BeginWrite(draft, origin), out _);

    private ReplicatedWrite? BeginWrite(in RecordDraft draft, RegionView? origin)
    {
        try
        {
            return origin?.BeginWrite();
        }
        catch
        {
            if (!draft.IsNone)
            {
                _store.Abandon(draft);
            }

            throw;
        }
    }
}
