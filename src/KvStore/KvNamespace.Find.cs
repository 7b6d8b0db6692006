using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore;

/// <content>How a read finds its record: the hot path, and the way around for what is rare.</content>
public sealed partial class KvNamespace
{
    /// <summary>
    /// The beginning of a read by a caller who has not asked for anything else: an entry in memory, or that there is none. Where
    /// somebody observes, or it has been cancelled, or the key is not where it most likely is: <see cref="KvValue.IsUnknown"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal KvValue LookNow(string key, CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? KvValue.Unknown : Find(key);

    // Nearly always a read is this one method, which is never inlined: a caller's loop would use up what the compiler is
    // willing to inline, and the search would be left as a dozen calls. It calls nobody, so that it saves no register, and what
    // it returns fits two of them. Whatever is rare is unknown here, and left to the caller's FindAnywhere.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue Find(string key) =>
        _isDirect && key is not null && TwoBlockKey.Fits(key.Length) && TwoBlockKey.TryRead(key, out var read)
            ? _index.Look<TwoBlockKey, ValueOutcome, KvValue>(read, _clock, default)
            : KvValue.Unknown;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue FindAnywhere(string key)
    {
        if (!_isPlain)
        {
            return Home().Get(key, "GET", cacheTtlSeconds: null);
        }

        if (_keyBytesMax >= TwoBlockKey.BytesMax && key is not null)
        {
            if (TwoBlockKey.Fits(key.Length) && TwoBlockKey.TryRead(key, out var blocks))
            {
                return FindOther(blocks, key);
            }

            if (HalvesKey.Fits(key.Length) && HalvesKey.TryRead(key, out var halves))
            {
                return FindOther(halves, key);
            }
        }

        return KeyRules.TryAscii(key!, _keyBytesMax, out var hash) ? FindOther(new AsciiKey(key!, hash), key!) : FindEncoded(key!);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private KvValue FindOther<TKey>(in TKey read, string key)
        where TKey : struct, IKey, allows ref struct
    {
        var value = _index.Look<TKey, ValueOutcome, KvValue>(read, _clock, default);
        if (value.IsUnknown)
        {
            value = _store.TryFind(read, out var record) && TryView(key, record, out var found) ? found : default;
        }

        return value;
    }

    private KvValue FindEncoded(string key) =>
        TryFindEncoded(key, "GET", out var record, out _) && TryView(key, record, out var found) ? found : default;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue Find(ReadOnlySpan<byte> utf8Key) =>
        _isDirect && TwoBlockKey.Fits(utf8Key.Length)
            ? _index.Look<TwoBlockKey, ValueOutcome, KvValue>(TwoBlockKey.Read(utf8Key), _clock, default)
            : KvValue.Unknown;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue FindAnywhere(ReadOnlySpan<byte> utf8Key)
    {
        if (!_isPlain)
        {
            _ = Home().TryGet(utf8Key, out var seen);
            return seen;
        }

        var key = new Utf8Key(utf8Key);
        var value = _index.Look<Utf8Key, ValueOutcome, KvValue>(key, _clock, default);
        if (value.IsUnknown)
        {
            value = _store.TryFind(key, out var record) && TryView(utf8Key, record, out var found) ? found : default;
        }

        return value;
    }

    private bool TryView(string key, Record record, out KvValue value) =>
        record.IsLarge ? TryViewLarge(Encoding.UTF8.GetBytes(key), record, out value) : TryView(record, out value);

    private bool TryView(ReadOnlySpan<byte> utf8Key, Record record, out KvValue value) =>
        record.IsLarge ? TryViewLarge(utf8Key.ToArray(), record, out value) : TryView(record, out value);

    private static bool TryView(Record record, out KvValue value)
    {
        value = record.ToValue();
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryViewLarge(byte[] key, Record record, out KvValue value)
    {
        while (record.IsLarge)
        {
            if (_largeValues.TryView(record.LargeValue, record, out var large))
            {
                value = record.ToValue(large);
                return true;
            }

            // Replaced between the look-up and here; or expired, if it still leads here.
            var before = record.LargeValue;
            if (!_store.TryFind(new Utf8Key(key), out record) || record.LargeValue == before)
            {
                value = default;
                return false;
            }
        }

        value = record.ToValue();
        return true;
    }

    // For a plain namespace.
    private bool TryFind(string key, string operation, out Record record, out ulong hash)
    {
        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out hash))
        {
            return _store.TryFind(new AsciiKey(key, hash), out record);
        }

        return TryFindEncoded(key, operation, out record, out hash);
    }

    private bool TryFindEncoded(string key, string operation, out Record record, out ulong hash)
    {
        ArgumentNullException.ThrowIfNull(key);
        CheckDisposed();
        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, operation, stackalloc byte[EncodedKey.StackBytes]);
        hash = encoded.Key.Hash;
        return _store.TryFind(encoded.Key, out record);
    }
}
