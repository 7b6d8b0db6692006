namespace KvStore.Comparisons.Peers;

/// <summary>
/// A store in the comparison. A call is a loop over keys, so that the time is that of the store and not of the call. Every result
/// depends on every read, so that no read can be optimized away.
/// </summary>
internal abstract class Peer : IDisposable
{
    /// <summary>The name in tables.</summary>
    public abstract string Name { get; }

    /// <summary>Whether it can be written after it was built.</summary>
    public virtual bool CanPut => true;

    /// <summary>Reads all keys, without their values.</summary>
    /// <returns>How many were found.</returns>
    public abstract int GetAll(ArraySegment<string> keys);

    /// <summary>Reads all keys and the first byte of each value.</summary>
    /// <returns>The sum of these bytes.</returns>
    public abstract int GetAndReadAll(ArraySegment<string> keys);

    /// <summary>Puts a value under all keys: a copy or a reference, as the store does.</summary>
    public abstract void PutAll(ArraySegment<string> keys, byte[] value);

    /// <summary>Puts the entries <paramref name="from"/> to <paramref name="to"/> - 1, each with a key and a value of its own.</summary>
    public abstract void Fill(int from, int to);

    /// <summary>Removes a key.</summary>
    public virtual void Remove(string key) => throw new NotSupportedException($"{Name} is not asked to remove keys.");

    /// <summary>Removes all keys.</summary>
    public virtual void RemoveAll(ArraySegment<string> keys)
    {
        foreach (var key in keys)
        {
            Remove(key);
        }
    }

    /// <summary>Creates a page of names in order, from a name on. Only for a store with an order.</summary>
    /// <returns>How many there are on the page.</returns>
    public virtual int List(string start, int limit) => throw new NotSupportedException($"{Name} has no order.");

    public virtual void Dispose()
    {
    }
}
