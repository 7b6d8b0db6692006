using System.Buffers;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Watching;
using Microsoft.Extensions.Logging;

namespace KvStore.Writes;

/// <summary>The store as the engine sees it that several processes share.</summary>
/// <remarks>
/// <para>Deletes are remembered as tombstones, because an older put may still be on its way here: the engine may have read it before the
/// delete, or it is a write of this process that is committed and not published yet.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class EngineHost(string name, ShardedStore store, CommitEpochs epochs, KvNamespaceOptions options, Action<string?> refuseReads) : IKvEngineHost
{
    private const int TombstonesMin = 1024;

    private readonly Lock _lock = new();
    private readonly MutationIntake _intake = new(store, usesTailOfWriters: true);
    private readonly RevisionHistory _history = new(options.TimeProvider);

    // The deletes up to this revision are forgotten when the epoch of its moment has ended; 0 for none.
    private long _forgetThrough;

    public string Name => name;

    public TimeProvider TimeProvider => options.TimeProvider;

    public ILoggerFactory? LoggerFactory => options.LoggerFactory;

    public KvLimits Limits => options.Limits;

    public long LiveEntries => store.Count;

    /// <summary>Begins the revisions above those that the engine has given.</summary>
    public void Open(long highestRevision)
    {
        Publish();
        store.BeginRevisionsAfter(highestRevision);
        _history.Begin(store.FirstRevision);

        // What is removed without a mutation from now on has a revision above the first one.
        store.ContinueAfter(store.FirstRevision + 1);
        store.Changes.ResumeAfter = _history.ResumeAfter;
    }

    public void Prepare(long entries) => store.Prepare(entries);

    public void Apply(in KvMutation mutation)
    {
        lock (_lock)
        {
            _intake.Add(mutation);
        }
    }

    public void Publish()
    {
        lock (_lock)
        {
            _intake.Complete();
            _history.Note(store.Revision);
        }
    }

    public long RevisionOf(ReadOnlySpan<byte> key) => store.RevisionOf(new Utf8Key(key));

    public int List(ReadOnlySpan<byte> after, Span<KvEngineEntry> entries)
    {
        var records = ArrayPool<Record>.Shared.Rent(entries.Length);
        try
        {
            var count = store.List(prefix: default, after, records.AsSpan(0, entries.Length));
            for (var i = 0; i < count; i++)
            {
                entries[i] = new KvEngineEntry(records[i].Key.ToArray(), records[i].Revision);
            }

            return count;
        }
        finally
        {
            // Not to keep segments alive from the pool.
            ArrayPool<Record>.Shared.Return(records, clearArray: true);
        }
    }

    public void Remove(ReadOnlySpan<byte> key, long throughRevision) => store.RemoveUnknown(new Utf8Key(key), throughRevision);

    public IKvEngineSwap BeginSwap() => new EngineSwap(this, new StateSwap(store));

    public void ForgetDeletes(long throughRevision)
    {
        // Two calls each time: the first notes the revision, and a later one finds that the commits of that moment have ended.
        long through;
        lock (_lock)
        {
            if (!epochs.TryAdvance())
            {
                return;
            }

            through = _forgetThrough;
            _forgetThrough = throughRevision;
        }

        // The tables are walked as a whole, so only when tombstones are a good part of them.
        if (through > 0 && store.TombstoneCount is var count && count > TombstonesMin && count > store.Count / 8)
        {
            store.ForgetTombstones(through);
        }
    }

    public void RefuseReads(string? reason) => refuseReads(reason);

    private sealed class EngineSwap(EngineHost host, StateSwap swap) : IKvEngineSwap
    {
        public void Apply(in KvMutation mutation) => swap.Add(mutation);

        public void Remove(ReadOnlySpan<byte> key, long throughRevision) => swap.Remove(key, throughRevision);

        public void Complete()
        {
            // What was applied before is not shown after what is newer.
            host.Publish();
            swap.Complete();
            host.Publish();
        }

        public void Dispose() => swap.Dispose();
    }
}
