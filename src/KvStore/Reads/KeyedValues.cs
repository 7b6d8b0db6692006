using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using KvStore.Rules;

namespace KvStore.Reads;

/// <summary>
/// The result of a read of many keys: the values by key, in the order of the requested keys, each key once.
/// </summary>
/// <remarks>
/// Three arrays, which never grow: the keys, the values, and a table that finds their numbers by hash. It is filled
/// by one thread and then only read, by any.
/// </remarks>
internal sealed class KeyedValues<T> : IReadOnlyDictionary<string, T>
{
    private readonly Func<string, uint> _hashOf;
    private readonly string[] _keys;
    private readonly T[] _values;

    // Numbers from 1 on; 0 where there is none. At most half of it is used, so that searches are short.
    private readonly int[] _slots;

    /// <summary>Creates a result without keys.</summary>
    /// <param name="capacity">How many keys there may be.</param>
    /// <param name="hashOf">The hash of a key: the one that keys are added with.</param>
    public KeyedValues(int capacity, Func<string, uint> hashOf)
        : this(hashOf, new string[capacity], new T[capacity], new int[BitOperations.RoundUpToPowerOf2((uint)capacity * 2)], count: 0)
    {
    }

    private KeyedValues(Func<string, uint> hashOf, string[] keys, T[] values, int[] slots, int count)
    {
        _hashOf = hashOf;
        _keys = keys;
        _values = values;
        _slots = slots;
        Count = count;
    }

    /// <inheritdoc/>
    public int Count { get; private set; }

    /// <inheritdoc/>
    public IEnumerable<string> Keys => new ArraySegment<string>(_keys, 0, Count);

    /// <inheritdoc/>
    public IEnumerable<T> Values => new ArraySegment<T>(_values, 0, Count);

    /// <inheritdoc/>
    public T this[string key] => TryGetValue(key, out var value)
        ? value
        : throw new KeyNotFoundException($"The key {VisibleKey.Quote(key)} was not among those that were read.");

    /// <summary>The keys in their order.</summary>
    public ReadOnlySpan<string> AllKeys => _keys.AsSpan(0, Count);

    /// <summary>The values in the order of the keys, to be filled in.</summary>
    public Span<T> ValuesToFill => _values.AsSpan(0, Count);

    /// <summary>Adds a key with a value to come, unless it is there.</summary>
    /// <param name="key">The key.</param>
    /// <param name="hash">Its hash.</param>
    /// <returns>Its number, and whether it is new.</returns>
    public (int Number, bool IsNew) Add(string key, uint hash)
    {
        ref var slot = ref SlotOf(key, hash);
        if (slot != 0)
        {
            return (slot - 1, false);
        }

        var number = Count++;
        _keys[number] = key;
        slot = number + 1;
        return (number, true);
    }

    /// <summary>A result with these keys and other values.</summary>
    public KeyedValues<TOther> Select<TOther>(Func<T, TOther> selector)
    {
        var others = new TOther[Count];
        for (var i = 0; i < others.Length; i++)
        {
            others[i] = selector(_values[i]);
        }

        return new KeyedValues<TOther>(_hashOf, _keys, others, _slots, Count);
    }

    /// <inheritdoc/>
    public bool ContainsKey(string key) => TryGetValue(key, out _);

    /// <inheritdoc/>
    public bool TryGetValue(string key, [MaybeNullWhen(false)] out T value)
    {
        ArgumentNullException.ThrowIfNull(key);
        var slot = SlotOf(key, _hashOf(key));
        value = slot == 0 ? default : _values[slot - 1];
        return slot != 0;
    }

    /// <inheritdoc/>
    public IEnumerator<KeyValuePair<string, T>> GetEnumerator()
    {
        for (var i = 0; i < Count; i++)
        {
            yield return new(_keys[i], _values[i]);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    // The slot that names the key, or the empty one where it goes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref int SlotOf(string key, uint hash)
    {
        var slots = _slots;
        var mask = slots.Length - 1;
        for (var at = (int)hash & mask; ; at = (at + 1) & mask)
        {
            ref var slot = ref slots[at];
            if (slot == 0 || _keys[slot - 1] == key)
            {
                return ref slot;
            }
        }
    }
}
