namespace KvStore.Comparisons.Peers;

/// <summary>The operations of a store in the latency harness, one key at a time and from several threads.</summary>
internal interface ITimedPeer
{
    /// <summary>Whether the store removes expired entries; otherwise the harness removes them.</summary>
    bool ExpiresByItself { get; }

    /// <summary>Reads a key and one byte of its value.</summary>
    bool Read(string key);

    /// <summary>Puts a value of the given length: a copy of the scratch, or a new array with the same bytes, as the store needs it.</summary>
    void Write(string key, byte[] scratch, int ttlSeconds);

    /// <summary>Removes a key.</summary>
    void Remove(string key);
}
