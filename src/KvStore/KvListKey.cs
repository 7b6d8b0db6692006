using System.Runtime.CompilerServices;

namespace KvStore;

/// <summary>A key as a listing shows it: its name, expiration and metadata, never its value.</summary>
public readonly struct KvListKey : IEquatable<KvListKey>
{
    // An array with a record in it, or a KvMetadata; null when there is no metadata.
    private readonly object? _metadataSource;
    private readonly int _recordOffset;
    private readonly uint _deadlineSeconds;

    /// <summary>Makes a listed key.</summary>
    /// <param name="name">The key.</param>
    /// <param name="expiration">When it expires, in whole seconds, or null when it doesn't.</param>
    /// <param name="metadata">Its metadata.</param>
    public KvListKey(string name, DateTimeOffset? expiration = null, KvMetadata metadata = default)
    {
        Name = name;
        _deadlineSeconds = expiration is { } at ? checked((uint)at.ToUnixTimeSeconds()) : 0;
        _metadataSource = metadata.IsNull ? null : metadata;
    }

    /// <summary>Lists a record. Without metadata it does not keep that in memory.</summary>
    /// <param name="name">The key.</param>
    /// <param name="deadlineSeconds">When it expires, or 0.</param>
    /// <param name="metadataSegment">The array with the record, if it has metadata; otherwise null.</param>
    /// <param name="recordOffset">Where the record begins.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal KvListKey(string name, uint deadlineSeconds, byte[]? metadataSegment, int recordOffset)
    {
        Name = name;
        _deadlineSeconds = deadlineSeconds;
        _metadataSource = metadataSegment;
        _recordOffset = recordOffset;
    }

    /// <summary>The key.</summary>
    public string Name { get; }

    /// <summary>When the entry expires, in whole seconds; null when it doesn't.</summary>
    public DateTimeOffset? Expiration =>
        _deadlineSeconds == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(_deadlineSeconds);

    /// <summary>The metadata stored with the value; <see cref="KvMetadata.IsNull"/> when there is none.</summary>
    public KvMetadata Metadata => _metadataSource switch
    {
        null => default,
        byte[] segment => KvMetadata.OfRecord(segment, _recordOffset),
        var metadata => (KvMetadata)metadata,
    };

    /// <summary>Whether both list the same name, expiration and metadata.</summary>
    public static bool operator ==(KvListKey left, KvListKey right) => left.Equals(right);

    /// <summary>Whether they differ in name, expiration or metadata.</summary>
    public static bool operator !=(KvListKey left, KvListKey right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(KvListKey other) =>
        Name == other.Name && _deadlineSeconds == other._deadlineSeconds && Metadata == other.Metadata;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is KvListKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, _deadlineSeconds);

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
