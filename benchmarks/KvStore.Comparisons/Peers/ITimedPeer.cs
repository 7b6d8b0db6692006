namespace KvStore.Comparisons.Peers;

/// <summary>What the latency harness asks of a store, one key at a time and from several threads.</summary>
internal interface ITimedPeer
{
    /// <summary>Whether entries go by themselves when their time is over; otherwise the harness removes them.</summary>
    bool ExpiresByItself { get; }

    /// <summary>Reads a key and one byte of its value.</summary>
    bool Read(string key);

    /// <summary>Puts a value of the given length: a copy of the scratch, or a new array with the same bytes, as the store needs it.</summary>
    void Write(string key, byte[] scratch, int ttlSeconds);

    /// <summary>Removes a key.</summary>
    void Remove(string key);
}
