using System.Buffers;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using KvStore.Keys;

namespace KvStore.Engine;

/// <summary>Turns what the ordered index finds into a page for a caller.</summary>
internal static class ListPage
{
    private const int PrefetchAhead = 12;
    private const int TypicalKeyBytes = 24;

    /// <summary>The keys that begin with a prefix and come after a key, up to a limit.</summary>
    public static KvListPage Read(ShardedStore store, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, int limit)
    {
        // One more than asked for tells whether this page is the last.
        var records = ArrayPool<Record>.Shared.Rent(limit + 1);
        try
        {
            return Of(records.AsSpan(0, store.List(prefix, after, records.AsSpan(0, limit + 1))), limit);
        }
        finally
        {
            // Not to keep segments alive from the pool.
            ArrayPool<Record>.Shared.Return(records, clearArray: true);
        }
    }

    /// <summary>The page that these records make. One more than the limit tells that there is another page.</summary>
    public static KvListPage Of(ReadOnlySpan<Record> found, int limit, string? cacheStatus = null)
    {
        var keys = new KvListKey[Math.Min(found.Length, limit)];
        for (var i = 0; i < keys.Length; i++)
        {
            if (i + PrefetchAhead < found.Length)
            {
                // Looked at once already, when they were found; but a page of them is more than the nearest cache holds.
                var ahead = found[i + PrefetchAhead];
                HashIndex.Prefetch(ahead.Segment, ahead.Offset, TypicalKeyBytes);
            }

            ref readonly var record = ref found[i];
            keys[i] = new KvListKey(NameOf(record.Key), record.Deadline, record.ToMetadata());
        }

        return new KvListPage(keys, found.Length > limit ? ListCursor.After(found[limit - 1].Key) : null, cacheStatus);
    }

    // Most names are ASCII, and widening their bytes takes a fraction of decoding UTF-8; of those that two blocks cover, with
    // nothing to be asked but whether they are.
    private static string NameOf(ReadOnlySpan<byte> key)
    {
        if (TwoBlockKey.Fits(key.Length))
        {
            var first = Vector128.Create(key);
            var last = Vector128.Create(key[^KeyHash.BlockBytes..]);
            if ((first | last).ExtractMostSignificantBits() == 0)
            {
                return string.Create(key.Length, (first, last), static (name, blocks) => Widen(name, blocks.first, blocks.last));
            }
        }

        return Ascii.IsValid(key)
            ? string.Create(key.Length, key, static (name, bytes) => Ascii.ToUtf16(bytes, name, out _))
            : Encoding.UTF8.GetString(key);
    }

    private static void Widen(Span<char> name, Vector128<byte> first, Vector128<byte> last)
    {
        var units = MemoryMarshal.Cast<char, ushort>(name);
        Vector128.WidenLower(first).CopyTo(units);
        Vector128.WidenUpper(first).CopyTo(units[8..]);
        Vector128.WidenLower(last).CopyTo(units[^16..]);
        Vector128.WidenUpper(last).CopyTo(units[^8..]);
    }
}
