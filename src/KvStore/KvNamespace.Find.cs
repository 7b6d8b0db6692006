using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Diagnostics;
using KvStore.Engine;
using KvStore.Keys;

namespace KvStore;

/// <content>How a read finds its record: the hot path, and the way around for what is rare.</content>
public sealed partial class KvNamespace
{
    /// <summary>The read behind the typed ones, where nothing speaks against reading at once: no observer, no cancellation.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool TryFindNow(string key, CancellationToken cancellationToken, out KvValue value)
    {
        if (KvMetrics.IsObserved || cancellationToken.IsCancellationRequested)
        {
            value = default;
            return false;
        }

        _ = TryGetCore(key, out value);
        return true;
    }

    // The whole of a read is this one method, which is never inlined: a caller's loop would use up what the compiler is
    // willing to inline, and the search would be left as a dozen calls. It returns the parts of a KvValue, and a caller that
    // is inlined puts them together: writing the reference through another one would cost a write barrier.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private object? Find(string key, out ulong place, out ulong extent)
    {
        if (_isPlain && KeyRules.TryAscii(key, _keyBytesMax, out var hash))
        {
            var sighting = _store.Look(new AsciiKey(key, hash), out var record, out _);
            if (sighting == Sighting.Key && !record.IsLarge)
            {
                place = record.Place;
                extent = record.Extent;
                return record.Segment;
            }

            if (sighting == Sighting.Absence)
            {
                place = 0;
                extent = 0;
                return null;
            }
        }

        return FindAnywhere(key, out place, out extent);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private object? FindAnywhere(string key, out ulong place, out ulong extent)
    {
        KvValue value = default;
        if (!_isPlain)
        {
            value = Home().Get(key, "GET", cacheTtlSeconds: null);
        }
        else
        {
            _ = TryFind(key, "GET", out var record, out _) && TryView(key, record, out value);
        }

        return value.Split(out place, out extent);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private object? Find(ReadOnlySpan<byte> utf8Key, out ulong place, out ulong extent)
    {
        if (!_isPlain)
        {
            _ = Home().TryGet(utf8Key, out var seen);
            return seen.Split(out place, out extent);
        }

        if (_store.Look(new Utf8Key(utf8Key), out var record, out _) == Sighting.Key && !record.IsLarge)
        {
            place = record.Place;
            extent = record.Extent;
            return record.Segment;
        }

        KvValue value = default;
        _ = _store.TryFind(new Utf8Key(utf8Key), out record) && TryView(utf8Key, record, out value);
        return value.Split(out place, out extent);
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
            if (_commit.Log is { LargeValues: { } largeValues } && largeValues.TryOpen(record.LargeValue, out var large))
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
    private bool TryFind(string key, string operation, out Record record, out long word)
    {
        if (KeyRules.TryAscii(key, _limits.KeyBytesMax, out var hash))
        {
            return _store.TryFind(new AsciiKey(key, hash), out record, out word);
        }

        return TryFindEncoded(key, operation, out record, out word);
    }

    private bool TryFindEncoded(string key, string operation, out Record record, out long word)
    {
        ArgumentNullException.ThrowIfNull(key);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        using var encoded = new EncodedKey(key, _limits.KeyBytesMax, operation, stackalloc byte[EncodedKey.StackBytes]);
        return _store.TryFind(encoded.Key, out record, out word);
    }
}
