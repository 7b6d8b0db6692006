using System.Text;
using KvStore.Engine;
using KvStore.Keys;
using KvStore.Replication;
using KvStore.Values;

namespace KvStore.Commit;

/// <summary>
/// The way of every mutation: encode one record, then publish it. The only place that writes to the engine on behalf of a
/// caller.
/// </summary>
/// <remarks>
/// Each mutation has the region where it is made; null is the home region, and the only one where nothing is replicated.
/// Thread safety: all members, from any thread. A record is complete before it is published, and nothing is published when
/// encoding it fails.
/// </remarks>
internal sealed class CommitPath(ShardedStore store, ReplicatedStore? replicated, WriteAdmission? admission, int valueBytesMax)
{
    /// <summary>Puts text.</summary>
    public void Put<TKey>(in TKey key, string text, ReadOnlySpan<byte> metadata, uint deadline, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        var valueBytes = Encoding.UTF8.GetByteCount(text);
        ValueLimit.Check(valueBytes, valueBytesMax);
        admission?.AdmitPut(key, metadata.Length + valueBytes);
        var draft = store.Draft(key, metadata.Length, valueBytes, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        Encoding.UTF8.GetBytes(text, draft.Record.DraftValue);
        Publish(key, draft, origin);
    }

    /// <summary>Puts bytes.</summary>
    public void Put<TKey>(in TKey key, ReadOnlySpan<byte> value, ReadOnlySpan<byte> metadata, uint deadline, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        ValueLimit.Check(value.Length, valueBytesMax);
        admission?.AdmitPut(key, metadata.Length + value.Length);
        var draft = store.Draft(key, metadata.Length, value.Length, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        value.CopyTo(draft.Record.DraftValue);
        Publish(key, draft, origin);
    }

    /// <summary>Puts a value that was read from a stream.</summary>
    public void Put<TKey>(in TKey key, StreamedValue value, ReadOnlySpan<byte> metadata, uint deadline, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        admission?.AdmitPut(key, metadata.Length + value.Length);
        var draft = store.Draft(key, metadata.Length, value.Length, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        value.CopyTo(draft.Record.DraftValue);
        Publish(key, draft, origin);
    }

    /// <summary>Deletes a key.</summary>
    public void Delete<TKey>(in TKey key, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        admission?.AdmitDelete(key);
        if (replicated is null)
        {
            store.Delete(key);
        }
        else
        {
            replicated.Delete(key, origin);
        }
    }

    private void Publish<TKey>(in TKey key, in RecordDraft draft, RegionView? origin)
        where TKey : struct, IKey, allows ref struct
    {
        if (replicated is null)
        {
            store.Publish(key, draft);
        }
        else
        {
            replicated.Publish(key, draft, origin);
        }
    }
}
