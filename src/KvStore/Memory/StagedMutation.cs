using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>A mutation that is swapped in, and what became of it.</summary>
internal struct StagedMutation
{
    /// <summary>Its record.</summary>
    public RecordDraft Draft;

    /// <summary>The hash of its key.</summary>
    public ulong Hash;

    /// <summary>What it has replaced, if it is the newest.</summary>
    public ReplacedRecord Replaced;

    /// <summary>Whether the key had nothing newer.</summary>
    public bool IsNewest;

    /// <summary>Whether the key had the same mutation.</summary>
    public bool IsRepeat;
}

/// <summary>A removal that is swapped in, and what became of it.</summary>
internal struct StagedRemoval
{
    /// <summary>The key.</summary>
    public byte[] Key;

    /// <summary>The hash of the key.</summary>
    public ulong Hash;

    /// <summary>What has a higher revision stays.</summary>
    public long ThroughRevision;

    /// <summary>What was removed; none when the key had nothing.</summary>
    public Record Removed;
}
