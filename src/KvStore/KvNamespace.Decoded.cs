using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Json;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore;

/// <content>Reads as text and as objects, which hot keys answer from what they were decoded to before.</content>
public sealed partial class KvNamespace
{
    private readonly DecodedCache _texts = new();
    private readonly DecodedCache _objects = new();

    /// <summary>Reads a value as text, from the cache of decoded text when it is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ValueTask<string?> GetCachedTextAsync(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (options is null && !cancellationToken.IsCancellationRequested
            && FindDecoded(key, new TextOutcome(_texts)) is var text && !ReferenceEquals(text, TextOutcome.NotKnown))
        {
            return new(Unsafe.As<string?>(text));
        }

        return GetTextElsewhere(key, options, cancellationToken);
    }

    /// <summary>Finds what a value was decoded to before, if that is kept. False says nothing: then it is to be read.</summary>
    /// <param name="key">The key.</param>
    /// <param name="form">What tells this way of reading from others; of <typeparamref name="T"/> alone.</param>
    /// <param name="cancellationToken">A read that is cancelled finds nothing here, and learns of it where it reads.</param>
    /// <param name="value">The object.</param>
    internal bool TryGetDecoded<T>(string key, object form, CancellationToken cancellationToken, [MaybeNullWhen(false)] out T value)
    {
        if (ImmutableType<T>.IsProven && !cancellationToken.IsCancellationRequested
            && (FindDecoded(key, new DecodedOutcome(_objects)) ?? FindDecodedAnywhere(key)) is DecodedObject found && ReferenceEquals(found.Form, form))
        {
            value = (T)found.Value;
            return true;
        }

        value = default;
        return false;
    }

    /// <summary>Keeps what a value was decoded to, if nobody can change it and the value is read often.</summary>
    internal void KeepDecoded<T>(string key, object form, in KvValue value, T? decoded)
    {
        if (ImmutableType<T>.IsProven && decoded is not null && decoded.GetType() == typeof(T) && _isPlain
            && TryFind(key, "GET", out var record, out var hash) && !record.IsLarge && record.ToValue().IsSameAs(value))
        {
            _objects.Offer(hash, record, new DecodedObject(form, decoded));
        }
    }

    /// <summary>The text of a record whose value is in memory, from the cache when it is there.</summary>
    internal string TextOf(ulong hash, Record record) =>
        _texts.Find(hash, record.Revision) is { } kept ? Unsafe.As<string>(kept) : _texts.Decode(hash, record);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<string?> GetTextElsewhere(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved ? GetTextObserved(key, options, cancellationToken) : GetUncachedText(key, options, cancellationToken);

    // By itself for the same reason as Find.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private object? FindDecoded<TOutcome>(string key, TOutcome outcome)
        where TOutcome : struct, IProbeOutcome<object?>
    {
        if (!_isDirect)
        {
            return outcome.Unknown;
        }

        if (key is not null && TwoBlockKey.Fits(key.Length))
        {
            return TwoBlockKey.TryRead(key, out var read)
                ? _index.Look<TwoBlockKey, TOutcome, object?>(read, _clock, outcome)
                : outcome.Unknown;
        }

        return FindDecodedOther(key!, outcome);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private object? FindDecodedOther<TOutcome>(string key, TOutcome outcome)
        where TOutcome : struct, IProbeOutcome<object?> =>
        KeyRules.TryAscii(key, _keyBytesMax, out var hash)
            ? _index.Look<AsciiKey, TOutcome, object?>(new AsciiKey(key, hash), _clock, outcome)
            : outcome.Unknown;

    // Of a key that is not where it most likely is; what it costs is little beside decoding.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private object? FindDecodedAnywhere(string key) =>
        _isDirect && KeyRules.TryAscii(key, _keyBytesMax, out var hash) && _store.TryFind(new AsciiKey(key, hash), out var record)
            ? _objects.Find(hash, record.Revision)
            : null;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<string?> GetUncachedText(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (!_isPlain)
        {
            return Home().GetText(key, options, cancellationToken);
        }

        if (options is not null || cancellationToken.IsCancellationRequested)
        {
            CheckRead(key, options, cancellationToken);
        }

        if (!TryFind(key, "GET", out var record, out var hash))
        {
            return default;
        }

        if (record.IsLarge)
        {
            return GetLargeTextAsync(key, record, cancellationToken);
        }

        return new(TextOf(hash, record));
    }

    private async ValueTask<string?> GetLargeTextAsync(string key, Record record, CancellationToken cancellationToken)
    {
        if (!TryView(key, record, out var value))
        {
            return null;
        }

        using (value)
        {
            return (await value.LoadAsync(cancellationToken).ConfigureAwait(false)).GetText();
        }
    }

    /// <summary>An object and the form in which it was read: one value can be read in several.</summary>
    private sealed record DecodedObject(object Form, object Value);
}
