using KvStore.Records;

namespace KvStore.Index;

/// <summary>What becomes of a look at a key's most likely place (<see cref="HashIndex.Look"/>).</summary>
/// <typeparam name="TResult">What the look returns.</typeparam>
internal interface IProbeOutcome<out TResult>
{
    /// <summary>The key has no value.</summary>
    TResult Absent { get; }

    /// <summary>Nothing is certain: the key is to be searched for.</summary>
    TResult Unknown { get; }

    /// <summary>The key has a value, in memory, which has not expired.</summary>
    /// <param name="segment">The array with its record.</param>
    /// <param name="offset">Where the record begins.</param>
    /// <param name="hash">The hash of the key.</param>
    TResult Value(byte[] segment, int offset, ulong hash);
}

/// <summary>A look for the value itself.</summary>
internal readonly struct ValueOutcome : IProbeOutcome<KvValue>
{
    public KvValue Absent => default;

    public KvValue Unknown => KvValue.Unknown;

    public KvValue Value(byte[] segment, int offset, ulong hash) => new(segment, offset);
}

/// <summary>A look for a value as text: a string, or null where there is none.</summary>
/// <param name="cache">Where text is kept that was decoded before.</param>
internal readonly struct TextOutcome(DecodedCache cache) : IProbeOutcome<object?>
{
    /// <summary>In place of text when nothing is certain. Told by its reference; no value becomes this very string.</summary>
    public const string NotKnown = "?";

    public object? Absent => null;

    public object? Unknown => NotKnown;

    public object? Value(byte[] segment, int offset, ulong hash)
    {
        var record = new Record(segment, offset);
        return cache.Find(hash, record.Revision) ?? cache.Decode(hash, record);
    }
}

/// <summary>A look for what a value was decoded to before.</summary>
/// <param name="cache">Where that is kept.</param>
internal readonly struct DecodedOutcome(DecodedCache cache) : IProbeOutcome<object?>
{
    public object? Absent => null;

    public object? Unknown => null;

    public object? Value(byte[] segment, int offset, ulong hash) => cache.Find(hash, new Record(segment, offset).Revision);
}
