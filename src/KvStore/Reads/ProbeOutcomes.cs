using System.Runtime.CompilerServices;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Records;

namespace KvStore.Reads;

/// <summary>A probe for the value itself.</summary>
internal readonly struct ValueOutcome : IProbeOutcome<KvValue>
{
    public KvValue Absent() => default;

    public KvValue Uncertain(ulong hash) => KvValue.UnknownOf(hash);

    public KvValue Found(byte[] segment, int offset, ref byte start, ulong hash) => new(segment, offset);
}

/// <summary>A probe for the value itself, which counts as a use of its record.</summary>
internal readonly struct CountedValueOutcome : IProbeOutcome<KvValue>
{
    public KvValue Absent() => default;

    public KvValue Uncertain(ulong hash) => KvValue.UnknownOf(hash);

    // Inlined also where the compiler has seen no namespace that evicts: a call would cost every other namespace the registers that it saves.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public KvValue Found(byte[] segment, int offset, ref byte start, ulong hash)
    {
        RecordLayout.CountUse(ref start);
        return new(segment, offset);
    }
}

/// <summary>A probe for what a value was decoded to, which counts as a use of the record if it decides.</summary>
/// <param name="outcome">The probe.</param>
internal readonly struct CountedOutcome<TOutcome>(TOutcome outcome) : IProbeOutcome<ProbedObject>
    where TOutcome : struct, IProbeOutcome<ProbedObject>
{
    public ProbedObject Absent() => outcome.Absent();

    public ProbedObject Uncertain(ulong hash) => outcome.Uncertain(hash);

    public ProbedObject Found(byte[] segment, int offset, ref byte start, ulong hash)
    {
        var found = outcome.Found(segment, offset, ref start, hash);
        if (!found.IsUnknown)
        {
            RecordLayout.CountUse(ref start);
        }

        return found;
    }
}

/// <summary>A probe for a value as text: a string, or null where the key has no value.</summary>
/// <param name="cache">The texts that were decoded before.</param>
internal readonly struct TextOutcome(DecodedCache cache) : IProbeOutcome<ProbedObject>
{
    public ProbedObject Absent() => default;

    public ProbedObject Uncertain(ulong hash) => ProbedObject.UnknownOf(hash);

    public ProbedObject Found(byte[] segment, int offset, ref byte start, ulong hash)
    {
        var record = new Record(segment, offset);
        return new ProbedObject(cache.Find(hash, record.Revision) ?? cache.Decode(hash, record));
    }
}

/// <summary>A probe for the object that a value was decoded to before.</summary>
/// <param name="cache">The objects that were decoded before.</param>
internal readonly struct ObjectOutcome(DecodedCache cache) : IProbeOutcome<ProbedObject>
{
    // Unknown, because no object stands for a missing value: the caller reads the key again and returns its default.
    public ProbedObject Absent() => ProbedObject.Unknown;

    public ProbedObject Uncertain(ulong hash) => ProbedObject.UnknownOf(hash);

    public ProbedObject Found(byte[] segment, int offset, ref byte start, ulong hash) =>
        cache.Find(hash, new Record(segment, offset).Revision) is { } found ? new ProbedObject(found, hash) : ProbedObject.UnknownOf(hash);
}

/// <summary>As <see cref="ObjectOutcome"/>, but for an entry that does not expire soon.</summary>
/// <param name="cache">The objects that were decoded before.</param>
/// <param name="clock">The clock of expirations.</param>
/// <param name="lookAheadSeconds">How soon is soon.</param>
internal readonly struct FreshObjectOutcome(DecodedCache cache, CoarseClock clock, uint lookAheadSeconds) : IProbeOutcome<ProbedObject>
{
    public ProbedObject Absent() => ProbedObject.Unknown;

    public ProbedObject Uncertain(ulong hash) => ProbedObject.UnknownOf(hash);

    public ProbedObject Found(byte[] segment, int offset, ref byte start, ulong hash)
    {
        var record = new Record(segment, offset);
        var seconds = record.DeadlineSeconds;

        // Without asking the clock: what may expire soon is left to a search.
        return seconds != 0 && (seconds <= lookAheadSeconds || clock.MayHavePassed(seconds - lookAheadSeconds))
            ? ProbedObject.UnknownOf(hash)
            : cache.Find(hash, record.Revision) is { } found ? new ProbedObject(found, hash)
            : ProbedObject.UnknownOf(hash);
    }
}

/// <summary>
/// The result of a probe for what a value was decoded to: the object, null for no value, or unknown. Fits two registers.
/// </summary>
internal readonly struct ProbedObject
{
    // Compared by reference. No value is decoded to this string object.
    private const string UnknownMark = "?";

    public ProbedObject(object? value, ulong hash)
    {
        Value = value;
        Hash = hash;
    }

    public ProbedObject(object? value)
        : this(value, hash: 0)
    {
    }

    /// <summary>The result of a probe that did not decide.</summary>
    public static ProbedObject Unknown => new(UnknownMark);

    /// <summary>The object, where it is known.</summary>
    public object? Value { get; }

    /// <summary>The hash of the key, so that nobody hashes it again; 0 where it is not known.</summary>
    public ulong Hash { get; }

    /// <summary>Whether the probe did not decide.</summary>
    public bool IsUnknown => ReferenceEquals(Value, UnknownMark);

    /// <summary>The result of a probe that did not decide, with the hash of the key.</summary>
    public static ProbedObject UnknownOf(ulong hash) => new(UnknownMark, hash);
}
