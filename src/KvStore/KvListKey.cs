namespace KvStore;

/// <summary>A key as a listing shows it: its name, expiration and metadata, never its value.</summary>
public readonly struct KvListKey : IEquatable<KvListKey>
{
    private readonly uint _deadlineSeconds;

    /// <summary>Makes a listed key.</summary>
    /// <param name="name">The key.</param>
    /// <param name="expiration">When it expires, in whole seconds, or null when it doesn't.</param>
    /// <param name="metadata">Its metadata.</param>
    public KvListKey(string name, DateTimeOffset? expiration = null, KvMetadata metadata = default)
        : this(name, expiration is { } at ? checked((uint)at.ToUnixTimeSeconds()) : 0, metadata)
    {
    }

    internal KvListKey(string name, uint deadlineSeconds, KvMetadata metadata)
    {
        Name = name;
        _deadlineSeconds = deadlineSeconds;
        Metadata = metadata;
    }

    /// <summary>The key.</summary>
    public string Name { get; }

    /// <summary>When the entry expires, in whole seconds; null when it doesn't.</summary>
    public DateTimeOffset? Expiration =>
        _deadlineSeconds == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(_deadlineSeconds);

    /// <summary>The metadata stored with the value; <see cref="KvMetadata.IsNull"/> when there is none.</summary>
    public KvMetadata Metadata { get; }

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
