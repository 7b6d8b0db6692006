using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvStore.Keys;

namespace KvStore.Watching;

/// <summary>Finds the watchers of a key. Never changes: a watcher that comes or goes makes another one.</summary>
/// <remarks>
/// <para>The prefixes are sorted, and each knows the longest other one that it begins with. All prefixes of a key are found from the last one
/// that is not after the key: each of them is that one, or one that it begins with. Because a string between a prefix of the key and the
/// key itself begins with that prefix.</para>
/// <para>A key that has none is mostly found out by a look into a filter of 512 bytes, by a hash of the last bytes before the length of the
/// shortest prefix.</para>
/// </remarks>
internal sealed class WatchRoutes
{
    private const int FilterBits = 4096;
    private const int None = -1;

    private readonly PrefixRoute[] _prefixes;

    // For each prefix, the longest other one that it begins with; -1 for none.
    private readonly int[] _shorter;
    private readonly ulong[] _filter = new ulong[FilterBits / 64];
    private readonly int _shortestBytes = int.MaxValue;
    private readonly Dictionary<ulong, KeyRoute[]>? _keys;

    private WatchRoutes(PrefixRoute[] prefixes, Dictionary<ulong, KeyRoute[]>? keys)
    {
        _prefixes = prefixes;
        _keys = keys;
        _shorter = new int[prefixes.Length];
        foreach (var route in prefixes)
        {
            _shortestBytes = Math.Min(_shortestBytes, route.Prefix.Length);
        }

        for (var i = 0; i < prefixes.Length; i++)
        {
            // Those that the one before begins with are the only ones that this one may begin with, besides that one itself.
            var shorter = i - 1;
            while (shorter >= 0 && !prefixes[i].Prefix.AsSpan().StartsWith(prefixes[shorter].Prefix))
            {
                shorter = _shorter[shorter];
            }

            _shorter[i] = shorter;
            var bit = FilterBitOf(prefixes[i].Prefix);
            _filter[bit / 64] |= 1UL << (bit % 64);
        }
    }

    /// <summary>Routes to one watcher.</summary>
    public static WatchRoutes Of(WatcherHandle handle) => new WatchRoutes([], null).With(handle);

    /// <summary>These and a watcher.</summary>
    public WatchRoutes With(WatcherHandle handle)
    {
        if (handle.Keys.IsOneKey)
        {
            var keys = _keys is null ? [] : new Dictionary<ulong, KeyRoute[]>(_keys);
            var hash = KeyHash.OfUtf8(handle.Keys.Utf8);
            keys[hash] = [.. keys.GetValueOrDefault(hash, []), new KeyRoute(handle.Keys.Utf8, handle)];
            return new WatchRoutes(_prefixes, keys);
        }

        var at = LastNotAfter(handle.Keys.Utf8);
        if (at >= 0 && _prefixes[at].Prefix.AsSpan().SequenceEqual(handle.Keys.Utf8))
        {
            return new WatchRoutes(Replaced(at, [.. _prefixes[at].Handles, handle]), _keys);
        }

        return new WatchRoutes([.. _prefixes[..(at + 1)], new PrefixRoute(handle.Keys.Utf8, [handle]), .. _prefixes[(at + 1)..]], _keys);
    }

    /// <summary>These without a watcher; null when it was the last one.</summary>
    public WatchRoutes? Without(WatcherHandle handle)
    {
        var prefixes = _prefixes;
        var keys = _keys;
        if (handle.Keys.IsOneKey)
        {
            var hash = KeyHash.OfUtf8(handle.Keys.Utf8);
            KeyRoute[] left = [.. _keys![hash].Where(route => route.Handle != handle)];
            keys = new Dictionary<ulong, KeyRoute[]>(_keys);
            if (left.Length > 0)
            {
                keys[hash] = left;
            }
            else
            {
                keys.Remove(hash);
            }

            keys = keys.Count == 0 ? null : keys;
        }
        else
        {
            var at = LastNotAfter(handle.Keys.Utf8);
            WatcherHandle[] left = [.. _prefixes[at].Handles.Where(other => other != handle)];
            prefixes = left.Length > 0 ? Replaced(at, left) : [.. _prefixes[..at], .. _prefixes[(at + 1)..]];
        }

        return prefixes.Length == 0 && keys is null ? null : new WatchRoutes(prefixes, keys);
    }

    /// <summary>All watchers.</summary>
    public IEnumerable<WatcherHandle> Handles =>
        _prefixes.SelectMany(route => route.Handles)
            .Concat(_keys is null ? [] : _keys.Values.SelectMany(routes => routes.Select(route => route.Handle)));

    /// <summary>Notes a change at all watchers of its key.</summary>
    /// <returns>How many older changes were skipped.</returns>
    public int Note(in KeyChange change)
    {
        var skipped = 0;
        if (MayHavePrefix(change.Key))
        {
            for (var i = FirstMatch(change.Key); i >= 0; i = _shorter[i])
            {
                foreach (var handle in _prefixes[i].Handles)
                {
                    skipped += handle.Note(change) ? 1 : 0;
                }
            }
        }

        return _keys is null ? skipped : skipped + NoteOneKey(_keys, change);
    }

    private static int NoteOneKey(Dictionary<ulong, KeyRoute[]> keys, in KeyChange change)
    {
        var skipped = 0;
        if (keys.TryGetValue(change.Hash, out var routes))
        {
            foreach (var route in routes)
            {
                skipped += change.Key.SequenceEqual(route.Key) && route.Handle.Note(change) ? 1 : 0;
            }
        }

        return skipped;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool MayHavePrefix(ReadOnlySpan<byte> key)
    {
        if (key.Length < _shortestBytes)
        {
            return false;
        }

        var bit = FilterBitOf(key);
        return (_filter[bit / 64] & (1UL << (bit % 64))) != 0;
    }

    // Of the last bytes that every prefix has.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int FilterBitOf(ReadOnlySpan<byte> key)
    {
        Debug.Assert(key.Length >= _shortestBytes);
        var bytes = 0UL;
        if (_shortestBytes >= sizeof(ulong))
        {
            bytes = MemoryMarshal.Read<ulong>(key[(_shortestBytes - sizeof(ulong))..]);
        }
        else
        {
            foreach (var value in key[.._shortestBytes])
            {
                bytes = (bytes << 8) | value;
            }
        }

        return (int)((bytes * 0x9E3779B97F4A7C15) >> 52);
    }

    // The longest prefix of a key; -1 for none.
    private int FirstMatch(ReadOnlySpan<byte> key)
    {
        var i = LastNotAfter(key);
        while (i >= 0 && !key.StartsWith(_prefixes[i].Prefix))
        {
            i = _shorter[i];
        }

        return i;
    }

    private int LastNotAfter(ReadOnlySpan<byte> key)
    {
        var (first, end) = (0, _prefixes.Length);
        while (first < end)
        {
            var middle = (first + end) / 2;
            if (key.SequenceCompareTo(_prefixes[middle].Prefix) >= 0)
            {
                first = middle + 1;
            }
            else
            {
                end = middle;
            }
        }

        return first == 0 ? None : first - 1;
    }

    private PrefixRoute[] Replaced(int at, WatcherHandle[] handles)
    {
        var prefixes = _prefixes.ToArray();
        prefixes[at] = prefixes[at] with { Handles = handles };
        return prefixes;
    }

    private readonly record struct PrefixRoute(byte[] Prefix, WatcherHandle[] Handles);

    private readonly record struct KeyRoute(byte[] Key, WatcherHandle Handle);
}
