using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore;

/// <summary>A key as a listing shows it: its name, revision, expiration and metadata, never its value.</summary>
public readonly struct KvListKey : IEquatable<KvListKey>
{
    private const int RoundingMask = 3;

    // An array with a record in it, or a KvMetadata; null when there is no metadata.
    private readonly object? _metadataSource;
    private readonly uint _deadlineSeconds;

    // The offset of the record, a multiple of 8, with the rounding of the deadline in its lowest bits.
    private readonly int _position;

    /// <summary>Makes a listed key.</summary>
    /// <param name="name">The key.</param>
    /// <param name="expiration">When it expires, in whole seconds, or null when it doesn't; 2106-02-07T06:28:15Z at the latest.</param>
    /// <param name="metadata">Its metadata.</param>
    /// <exception cref="ArgumentOutOfRangeException">The expiration is not after 1970, or too late.</exception>
    public KvListKey(string name, DateTimeOffset? expiration = null, KvMetadata metadata = default)
    {
        Name = name;
        _deadlineSeconds = ExpirationRules.DeadlineOf(expiration, nameof(expiration)).Seconds;
        _metadataSource = metadata.IsNull ? null : metadata;
    }

    /// <summary>Lists a record. A listed key without metadata does not keep the record in memory.</summary>
    /// <param name="name">The key.</param>
    /// <param name="revision">The revision of the record.</param>
    /// <param name="deadline">When it is gone.</param>
    /// <param name="metadataSegment">The array with the record, if it has metadata; otherwise null.</param>
    /// <param name="recordOffset">Where the record begins.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal KvListKey(string name, long revision, Deadline deadline, byte[]? metadataSegment, int recordOffset)
    {
        Debug.Assert((recordOffset & RoundingMask) == 0, "Records begin at multiples of 8.");
        Name = name;
        Revision = revision;
        _deadlineSeconds = deadline.Seconds;
        _metadataSource = metadataSegment;
        _position = recordOffset | deadline.Rounding;
    }

    /// <summary>The key.</summary>
    public string Name { get; private init; }

    /// <summary>
    /// The revision of the entry: of two versions of a key the newer has the higher one, also after a restart. 0 where the source knows
    /// no revisions. Two listed keys that differ in nothing else are equal.
    /// </summary>
    public long Revision { get; }

    /// <summary>When the entry expires, in whole seconds; null when it doesn't.</summary>
    public DateTimeOffset? Expiration => Deadline.Expiration;

    /// <summary>When it is gone.</summary>
    internal Deadline Deadline => new(_deadlineSeconds, (byte)(_position & RoundingMask));

    /// <summary>The metadata stored with the value; <see cref="KvMetadata.IsNull"/> when there is none.</summary>
    public KvMetadata Metadata => _metadataSource switch
    {
        null => default,
        byte[] segment => KvMetadata.OfRecord(segment, _position & ~RoundingMask),
        var metadata => (KvMetadata)metadata,
    };

    /// <summary>The same entry under another name.</summary>
    internal KvListKey WithName(string name) => this with { Name = name };

    /// <summary>Whether both list the same name, expiration and metadata.</summary>
    public static bool operator ==(KvListKey left, KvListKey right) => left.Equals(right);

    /// <summary>Whether they differ in name, expiration or metadata.</summary>
    public static bool operator !=(KvListKey left, KvListKey right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(KvListKey other) =>
        Name == other.Name && Deadline.ExpirationSeconds == other.Deadline.ExpirationSeconds && Metadata == other.Metadata;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is KvListKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Deadline.ExpirationSeconds);

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
