namespace KvStore.Segments;

/// <summary>The two queues that segments stand in where entries are evicted: see <c>Memory/EvictionPolicy.cs</c>.</summary>
internal enum SegmentQueue : byte
{
    /// <summary>Records that are new, and have to be used to stay.</summary>
    Small,

    /// <summary>Records that were used, or were missed soon after they had left.</summary>
    Main,
}
