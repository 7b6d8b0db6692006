using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace KvStore.Engine;

/// <summary>A key on its way into the ordered index: the address of its record, and eight bytes of it as a number.</summary>
internal struct KeyHead
{
    /// <summary>The bytes after the prefix of its batch, the first the highest; zeros beyond the key's end.</summary>
    public ulong Head;

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

    /// <summary>Eight bytes of a key that follow a prefix of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong HeadOf(ReadOnlySpan<byte> key, int prefixBytes)
    {
        var rest = key[prefixBytes..];
        return rest.Length >= sizeof(ulong) ? BinaryPrimitives.ReadUInt64BigEndian(rest) : PaddedHeadOf(rest);
    }

    /// <summary>How a key compares to one of these, as far as that can be told without looking at its record; 0 when it can't.</summary>
    public int CompareToHead(ReadOnlySpan<byte> key, in KeyHead other) =>
        key.StartsWith(Prefix) ? HeadOf(key, Prefix.Length).CompareTo(other.Head) : key.SequenceCompareTo(Prefix);

    /// <summary>The two bytes of one of these keys that follow so many, as a leaf keeps them; -1 when they are not at hand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int FragmentOf(in KeyHead key, int prefixBytes)
    {
        var skip = prefixBytes - Prefix.Length;
        return (uint)skip <= sizeof(ulong) - 2 ? (int)(key.Head >> ((sizeof(ulong) - 2 - skip) * 8)) & 0xFFFF : -1;
    }

    // Zeros beyond the end: a key and the same key with zeros behind it tie.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong PaddedHeadOf(ReadOnlySpan<byte> rest)
    {
        Span<byte> padded = stackalloc byte[sizeof(ulong)];
        padded.Clear();
        rest.CopyTo(padded);
        return BinaryPrimitives.ReadUInt64BigEndian(padded);
    }
}
