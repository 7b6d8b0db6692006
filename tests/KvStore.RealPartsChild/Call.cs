namespace KvStore.RealPartsChild;

/// <summary>What a caller knows about its put or delete.</summary>
internal enum Outcome
{
    /// <summary>It has not returned, or the process ended before it did.</summary>
    InFlight,

    /// <summary>It completed.</summary>
    Acknowledged,

    /// <summary>It failed: it must be visible to nobody, now and after the next opening.</summary>
    Refused,

    /// <summary>It ran out of memory at a place that says nothing about the outcome.</summary>
    Unknown,
}

/// <summary>One put or delete, and when it began and ended in the order of the history.</summary>
/// <param name="id">A number that no other call has; the value that it puts is a function of it.</param>
/// <param name="key">The key.</param>
/// <param name="length">The length of the value; -1 for a delete.</param>
/// <param name="begin">When it began.</param>
internal sealed class Call(long id, string key, int length, long begin)
{
    public const int Delete = -1;

    public long Id => id;

    public string Key => key;

    public int Length => length;

    public bool IsDelete => length == Delete;

    public long Begin => begin;

    public long End { get; set; } = long.MaxValue;

    public Outcome Outcome { get; set; }

    public override string ToString() => $"{(IsDelete ? "delete" : "put")} {id} of {key} ({length}), {begin}-{(End == long.MaxValue ? "" : End)} {Outcome}";
}
