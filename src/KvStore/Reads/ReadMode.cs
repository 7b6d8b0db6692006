namespace KvStore.Reads;

/// <summary>The layer that answers the reads of a <see cref="ReadPath"/>.</summary>
internal enum ReadMode
{
    /// <summary>The namespace is disposed: every read throws.</summary>
    Closed,

    /// <summary>The view of a region, which shows what has arrived there.</summary>
    Replicated,

    /// <summary>The hash index, by way of the checks for observers, short key limits and clocks that do not tick.</summary>
    Plain,

    /// <summary>
    /// The hash index, at once: nobody observes, the clock ticks, and keys may be as long as those that are read from registers.
    /// </summary>
    Direct,

    /// <summary>As <see cref="Direct"/>, where entries are evicted: each read counts as a use of its record.</summary>
    Counting,
}
