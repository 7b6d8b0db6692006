namespace KvStore.Engine;

/// <summary>
/// The writers' side of one slice of the key space: its lock, its counts, and the keys that the ordered index has yet to
/// learn of. Every member is for the holder of <see cref="Gate"/>, except where it says otherwise.
/// </summary>
internal sealed class Shard
{
    private long[] _newKeys = [];
    private int _newKeyCount;

    /// <summary>Held for the few instructions that publish a mutation, and while the table grows. Readers don't take it.</summary>
    public Lock Gate { get; } = new();

    /// <summary>Keys that have a value.</summary>
    public int Live { get; set; }

    /// <summary>Keys whose newest record is a tombstone.</summary>
    public int Tombstones { get; set; }

    /// <summary>Words that are not empty: those of keys, and the marks of removed ones.</summary>
    public int Occupied { get; set; }

    /// <summary>How many new keys wait for the ordered index. Any thread may ask.</summary>
    public int NewKeyCount => Volatile.Read(ref _newKeyCount);

    /// <summary>Remembers a key that the ordered index has yet to learn of, by the address of its record.</summary>
    public void AddNewKey(long address)
    {
        if (_newKeyCount == _newKeys.Length)
        {
            Array.Resize(ref _newKeys, Math.Max(16, _newKeys.Length * 2));
        }

        _newKeys[_newKeyCount] = address;
        Volatile.Write(ref _newKeyCount, _newKeyCount + 1);
    }

    /// <summary>Hands the new keys over.</summary>
    public void MoveNewKeysTo(List<long> addresses)
    {
        addresses.AddRange(_newKeys.AsSpan(0, _newKeyCount));
        Volatile.Write(ref _newKeyCount, 0);
        if (_newKeys.Length > 4096)
        {
            _newKeys = [];
        }
    }
}
