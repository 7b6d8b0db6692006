using System.Text;
using KvStore.Engine;
using KvStore.Keys;
using KvStore.Values;

namespace KvStore.Commit;

/// <summary>
/// The way of every mutation: encode one record, then publish it. The only place that writes to the engine on behalf of a
/// caller.
/// </summary>
/// <remarks>
/// Thread safety: all members, from any thread. A record is complete before it is published, and nothing is published when
/// encoding it fails.
/// </remarks>
internal sealed class CommitPath(ShardedStore store, int valueBytesMax)
{
    /// <summary>Puts text.</summary>
    public void Put<TKey>(in TKey key, string text, ReadOnlySpan<byte> metadata, uint deadline)
        where TKey : struct, IKey, allows ref struct
    {
        var valueBytes = Encoding.UTF8.GetByteCount(text);
        ValueLimit.Check(valueBytes, valueBytesMax);
        var draft = store.Draft(key, metadata.Length, valueBytes, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        Encoding.UTF8.GetBytes(text, draft.Record.DraftValue);
        store.Publish(key, draft);
    }

    /// <summary>Puts bytes.</summary>
    public void Put<TKey>(in TKey key, ReadOnlySpan<byte> value, ReadOnlySpan<byte> metadata, uint deadline)
        where TKey : struct, IKey, allows ref struct
    {
        ValueLimit.Check(value.Length, valueBytesMax);
        var draft = store.Draft(key, metadata.Length, value.Length, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        value.CopyTo(draft.Record.DraftValue);
        store.Publish(key, draft);
    }

    /// <summary>Puts a value that was read from a stream.</summary>
    public void Put<TKey>(in TKey key, StreamedValue value, ReadOnlySpan<byte> metadata, uint deadline)
        where TKey : struct, IKey, allows ref struct
    {
        var draft = store.Draft(key, metadata.Length, value.Length, deadline);
        metadata.CopyTo(draft.Record.DraftMetadata);
        value.CopyTo(draft.Record.DraftValue);
        store.Publish(key, draft);
    }

    /// <summary>Deletes a key.</summary>
    public void Delete<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct => store.Delete(key);
}
