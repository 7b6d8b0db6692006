using System.Runtime.CompilerServices;

namespace KvStore.Order;

/// <summary>A key on its way into the ordered index: the address of its record, and a part of it as a number.</summary>
internal struct KeyHead
{
    /// <summary>The <see cref="AbbreviatedKey"/> after the prefix of its batch.</summary>
    public ulong Window;

    /// <summary>Where its record is.</summary>
    public long Address;
}

/// <summary>New keys in order, all of which begin with the same prefix.</summary>
internal readonly ref struct SortedKeys(ReadOnlySpan<KeyHead> keys, ReadOnlySpan<byte> prefix)
{
    /// <summary>The keys.</summary>
    public ReadOnlySpan<KeyHead> Keys { get; } = keys;

    /// <summary>What all of them begin with; not always all that they share.</summary>
    public ReadOnlySpan<byte> Prefix { get; } = prefix;

    /// <summary>How a key compares to one of these, as far as that can be told without looking at its record; 0 when it can't.</summary>
    public int CompareByWindow(ReadOnlySpan<byte> key, in KeyHead other) =>
        key.StartsWith(Prefix) ? AbbreviatedKey.Of(key, Prefix.Length).CompareTo(other.Window) : key.SequenceCompareTo(Prefix);

    /// <summary>The fragment of one of these keys in a leaf whose prefix it has; -1 when only its record can tell.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int FragmentIn(Leaf leaf, in KeyHead key) =>
        leaf.PrefixBytes == Prefix.Length ? leaf.FragmentOf(key.Window) : -1;
}
