namespace KvStore.Reads;

/// <summary>The layer that answers the reads of a <see cref="ReadPath"/>. Those from <see cref="Direct"/> on probe at once.</summary>
internal enum ReadMode
{
    /// <summary>The namespace is disposed: every read throws.</summary>
    Closed,

    /// <summary>Reads are refused: every read throws.</summary>
    Refused,

    /// <summary>The view of a region, which shows the writes that the region has received.</summary>
    Replicated,

    /// <summary>The hash index, after checks for observers, short key limits and clocks that do not tick.</summary>
    Plain,

    /// <summary>
    /// The hash index, without checks: nobody observes, the clock ticks, and the key limit is not below the length of keys that are
    /// read from registers.
    /// </summary>
    Direct,

    /// <summary>As <see cref="Direct"/>, where entries are evicted: each read counts as a use of its record.</summary>
    Counting,
}
