using System.Runtime.CompilerServices;

namespace KvStore.Order;

/// <summary>A key of a batch: the address of its record, and its abbreviated key.</summary>
internal struct KeyHead
{
    /// <summary>The <see cref="AbbreviatedKey"/> after the prefix of its batch.</summary>
    public ulong Abbreviated;

    /// <summary>The address of the record.</summary>
    public long Address;
}

/// <summary>New keys in order, all of which begin with the same prefix.</summary>
internal readonly ref struct SortedKeys(ReadOnlySpan<KeyHead> keys, ReadOnlySpan<byte> prefix)
{
    /// <summary>The keys.</summary>
    public ReadOnlySpan<KeyHead> Keys { get; } = keys;

    /// <summary>A prefix of all keys; not always the longest.</summary>
    public ReadOnlySpan<byte> Prefix { get; } = prefix;

    /// <summary>Compares a key to a key of the batch by the abbreviated keys alone; 0 when they do not decide.</summary>
    public int CompareAbbreviated(ReadOnlySpan<byte> key, in KeyHead other) =>
        key.StartsWith(Prefix) ? AbbreviatedKey.Of(key, Prefix.Length).CompareTo(other.Abbreviated) : key.SequenceCompareTo(Prefix);

    /// <summary>The scaled key, in a leaf, of a key of the batch; -1 when the leaf has another prefix, so that it takes the record of the key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ScaledKeyIn(Leaf leaf, in KeyHead key) =>
        leaf.PrefixBytes == Prefix.Length ? leaf.ScaledKeyOf(key.Abbreviated) : -1;
}
