using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Reads;

/// <summary>Reads of values as text, of a namespace or of its view from one region. A small text that is read often is decoded once.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class TextReads(ReadPath reads, ShardedStore store, KvTelemetry telemetry, int keyBytesMax, DecodedCache cache)
{
    private readonly DecodedCache _cache = cache;

    /// <summary>The reads of the namespace in another region. They share the cache of texts.</summary>
    public TextReads Of(ReadPath other) => new(other, store, telemetry, keyBytesMax, _cache);

    /// <summary>Reads a value as text in any mode, with options, cancellation and telemetry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ValueTask<string?> GetAsync(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        // Every value in this cache is a string, so Unsafe.As saves the check of a cast.
        var text = options is null && !cancellationToken.IsCancellationRequested ? reads.FindDecoded(key, new TextOutcome(_cache)) : ProbedObject.Unknown;
        Debug.Assert(text.IsUnknown || text.Value is null or string, "The cache of texts has strings only.");
        return text.IsUnknown
            ? GetInAnyModeAsync(key, text.Hash, options, cancellationToken)
            : new(Unsafe.As<string?>(text.Value));
    }

    private string TextOf(ulong hash, Record record) =>
        _cache.Find(hash, record.Revision) is { } kept ? Unsafe.As<string>(kept) : _cache.Decode(hash, record);

    // The hash is 0 when it is not known.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<string?> GetInAnyModeAsync(string key, ulong hash, KvGetOptions? options, CancellationToken cancellationToken)
    {
        return hash != 0 ? Read(new AsciiKey(key, hash), cacheTtlSeconds: null, cancellationToken)
            : KvMetrics.IsObserved ? Observed(key, options, cancellationToken)
            : Get(key, options, cancellationToken);

        // A method of its own, because a closure here would cost the other branches an allocation.
        ValueTask<string?> Observed(string key, KvGetOptions? options, CancellationToken cancellationToken) => telemetry.ObserveAsync(
            "get", () => Get(key, options, cancellationToken), static text => text is null ? "miss" : "hit");
    }

    private ValueTask<string?> Get(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        reads.ThrowIfClosed();
        var cacheTtlSeconds = reads.Check(key, options, cancellationToken);
        if (KeyRules.TryAscii(key, keyBytesMax, out var hash))
        {
            return Read(new AsciiKey(key, hash), cacheTtlSeconds, cancellationToken);
        }

        using var encoded = new EncodedKey(key, keyBytesMax, "GET", stackalloc byte[EncodedKey.StackBytes]);
        return Read(encoded.Key, cacheTtlSeconds, cancellationToken);
    }

    private ValueTask<string?> Read<TKey>(in TKey key, int? cacheTtlSeconds, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        KvValue value;
        if (reads.View is { } view)
        {
            if (view.Cache is null)
            {
                if (!view.TryFind(key, out var visible))
                {
                    return default;
                }

                store.NoteUse(visible.Record);
                if (!visible.Record.IsLarge)
                {
                    return new(TextOf(key.Hash, visible.Record));
                }
            }

            view.TryGet(key, cacheTtlSeconds, out value);
        }
        else
        {
            if (!store.TryFind(key, out var record))
            {
                return default;
            }

            store.NoteUse(record);
            if (!record.IsLarge)
            {
                return new(TextOf(key.Hash, record));
            }

            value = reads.ViewLarge(key, record);
        }

        return value.IsLarge ? LoadAsync(value, cancellationToken) : new(value.GetText());
    }

    private static async ValueTask<string?> LoadAsync(KvValue value, CancellationToken cancellationToken)
    {
        using (value)
        {
            return (await value.LoadAsync(cancellationToken).ConfigureAwait(false)).GetText();
        }
    }
}
