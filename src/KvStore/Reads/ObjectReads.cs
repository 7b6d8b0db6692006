using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Json;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Values;

namespace KvStore.Reads;

/// <summary>
/// Reads of values as objects of immutable types. A small value that is read often is decoded once, and all readers get one object.
/// </summary>
/// <remarks>
/// Works in <see cref="ReadMode.Direct"/> only; in every other mode, and for other types, the caller reads and decodes the value.
/// Thread safety: all members, from any thread.
/// </remarks>
internal sealed class ObjectReads(ReadPath reads, ShardedStore store, CoarseClock clock)
{
    private readonly DecodedCache _cache = new();

    /// <summary>Finds the object that a key's value was decoded to before.</summary>
    /// <typeparam name="T">The type of the object.</typeparam>
    /// <param name="key">The key.</param>
    /// <param name="form">Identifies one way of decoding among those of <typeparamref name="T"/>.</param>
    /// <param name="cancellationToken">A read that is cancelled finds nothing here.</param>
    /// <param name="value">The object.</param>
    /// <param name="hash">When the object was not found, the hash of the key, for <see cref="TryFindRecord"/>; 0 where it is not known.</param>
    /// <returns>Whether the object was found.</returns>
    public bool TryFind<T>(
        string key, object form, CancellationToken cancellationToken, [MaybeNullWhen(false)] out T value, out ulong hash)
    {
        if (ImmutableType<T>.IsProven && !cancellationToken.IsCancellationRequested)
        {
            var probed = reads.FindDecoded(key, new ObjectOutcome(_cache));
            hash = probed.Hash;
            if ((probed.IsUnknown ? Search(key, hash) : probed.Value) is DecodedObject found && ReferenceEquals(found.Form, form))
            {
                value = (T)found.Value;
                return true;
            }
        }
        else
        {
            hash = 0;
        }

        value = default;
        return false;
    }

    /// <summary>As <see cref="TryFind"/>, for a key whose entry does not expire soon. False says nothing of when it expires.</summary>
    /// <param name="key">The key.</param>
    /// <param name="form">Identifies one way of decoding among those of <typeparamref name="T"/>.</param>
    /// <param name="lookAheadSeconds">How soon is soon.</param>
    /// <param name="cancellationToken">A read that is cancelled finds nothing here.</param>
    /// <param name="value">The object.</param>
    /// <param name="hash">When the object was not found, the hash of the key, for <see cref="TryFindRecord"/>; 0 where it is not known.</param>
    public bool TryFindFresh<T>(
        string key, object form, uint lookAheadSeconds, CancellationToken cancellationToken, [MaybeNullWhen(false)] out T value, out ulong hash)
    {
        hash = 0;
        if (ImmutableType<T>.IsProven && !cancellationToken.IsCancellationRequested)
        {
            var probed = reads.FindDecoded(key, new FreshObjectOutcome(_cache, clock, lookAheadSeconds));
            hash = probed.Hash;
            if (!probed.IsUnknown && probed.Value is DecodedObject found && ReferenceEquals(found.Form, form))
            {
                value = (T)found.Value;
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>Finds the record of a key that <see cref="TryFind"/> has hashed.</summary>
    /// <returns>False when the hash is 0, or the value is not in memory; then the caller reads the key in another way.</returns>
    public bool TryFindRecord(string key, ulong hash, out Record record)
    {
        record = default;
        if (hash == 0 || !store.TryFind(new AsciiKey(key, hash), out record))
        {
            return false;
        }

        store.NoteUse(record);
        return !record.IsLarge;
    }

    /// <summary>Caches the object that a record was decoded to, if the value is small and read often.</summary>
    /// <returns>The object.</returns>
    public T? Keep<T>(object form, ulong hash, Record record, T? decoded)
    {
        if (decoded is not null && decoded.GetType() == typeof(T))
        {
            _cache.Offer(hash, record, new DecodedObject(form, decoded));
        }

        return decoded;
    }

    // For a key that its home bucket does not decide. When no object is cached, this search costs little compared with the decoding
    // that follows.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private object? Search(string key, ulong hash) =>
        TryFindRecord(key, hash, out var record) ? _cache.Find(hash, record.Revision) : null;

    /// <summary>An object and the form in which it was decoded: one value can be decoded in several.</summary>
    private sealed record DecodedObject(object Form, object Value);
}

/// <summary>Identifies reading as a type with the defaults, among all ways of reading it as JSON.</summary>
internal static class JsonForm<T>
{
    /// <summary>The form.</summary>
    public static readonly object Default = new();
}
