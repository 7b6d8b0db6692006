using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvStore.Engine;

/// <summary>
/// Sorts the addresses of new keys by key, once each: eight bytes of every key are compared as numbers, and only ties look
/// at the records again.
/// </summary>
internal sealed class KeyBatch(SegmentTable segments)
{
    private const int HeadsKept = 64 * 1024;

    private readonly List<long> _addresses = [];
    private ulong[] _heads = [];

    /// <summary>The addresses; unordered until <see cref="Sort"/>.</summary>
    public List<long> Addresses => _addresses;

    /// <summary>Sorts by key and drops all but the newest record of each key.</summary>
    public void Sort()
    {
        var addresses = CollectionsMarshal.AsSpan(_addresses);
        if (addresses.Length < 2)
        {
            return;
        }

        if (_heads.Length < addresses.Length)
        {
            _heads = new ulong[addresses.Length];
        }

        var heads = _heads.AsSpan(0, addresses.Length);
        var prefixBytes = CommonPrefixBytes(addresses);
        for (var i = 0; i < addresses.Length; i++)
        {
            heads[i] = Head(KeyAt(addresses[i])[prefixBytes..]);
        }

        MemoryExtensions.Sort(heads, addresses);
        if (_heads.Length > HeadsKept)
        {
            _heads = [];
        }

        for (var start = 0; start < addresses.Length;)
        {
            var end = start + 1;
            while (end < addresses.Length && heads[end] == heads[start])
            {
                end++;
            }

            if (end - start > 1)
            {
                addresses[start..end].Sort(Compare);
            }

            start = end;
        }

        var kept = 1;
        for (var i = 1; i < addresses.Length; i++)
        {
            var last = addresses[kept - 1];
            if (KeyAt(addresses[i]).SequenceEqual(KeyAt(last)))
            {
                addresses[kept - 1] = segments.RecordAt(addresses[i]).Revision > segments.RecordAt(last).Revision ? addresses[i] : last;
            }
            else
            {
                addresses[kept++] = addresses[i];
            }
        }

        CollectionsMarshal.SetCount(_addresses, kept);
    }

    private int Compare(long x, long y) => KeyAt(x).SequenceCompareTo(KeyAt(y));

    private ReadOnlySpan<byte> KeyAt(long address) => segments.RecordAt(address).Key;

    private int CommonPrefixBytes(ReadOnlySpan<long> addresses)
    {
        var common = KeyAt(addresses[0]);
        foreach (var address in addresses[1..])
        {
            common = common[..common.CommonPrefixLength(KeyAt(address))];
            if (common.IsEmpty)
            {
                break;
            }
        }

        return common.Length;
    }

    // Zeros beyond the end: a key and the same key with zeros behind it tie, and are told apart by Compare.
    private static ulong Head(ReadOnlySpan<byte> key)
    {
        if (key.Length >= sizeof(ulong))
        {
            return BinaryPrimitives.ReadUInt64BigEndian(key);
        }

        Span<byte> padded = stackalloc byte[sizeof(ulong)];
        padded.Clear();
        key.CopyTo(padded);
        return BinaryPrimitives.ReadUInt64BigEndian(padded);
    }
}
