using System.Diagnostics;

namespace KvStore;

/// <summary>What must hold of a key at the moment when a conditional write is committed.</summary>
public readonly struct KvCondition : IEquatable<KvCondition>
{
    private const long AbsentRevision = 0;
    private const long AnyRevision = -1;

    // 0 is the default, which is no condition: so it is one more than the revision. Of any revision, one more than the highest, or 0.
    private readonly long _oneMore;
    private readonly bool _isAny;

    private KvCondition(long revision)
    {
        Debug.Assert(revision >= AnyRevision);
        _isAny = revision == AnyRevision;
        _oneMore = revision + 1;
    }

    /// <summary>The key does not exist, or has expired.</summary>
    public static KvCondition Absent => new(AbsentRevision);

    private KvCondition(long oneMore, bool isAny)
    {
        _oneMore = oneMore;
        _isAny = isAny;
    }

    /// <summary>The key exists.</summary>
    public static KvCondition Present => new(AnyRevision);

    /// <summary>Whether this is <c>default</c>, which no write takes.</summary>
    internal bool IsDefault => _oneMore == 0 && !_isAny;

    /// <summary>The key exists in this version.</summary>
    /// <param name="revision"><see cref="KvValue.Revision"/> of the version; 0 means that the key does not exist.</param>
    /// <returns>The condition.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The revision is negative.</exception>
    public static KvCondition Revision(long revision)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(revision);
        return new(revision);
    }

    /// <summary>The key exists in a version that is not newer than a revision.</summary>
    internal static KvCondition NotNewerThan(long revision)
    {
        Debug.Assert(revision >= 0);
        return new(revision + 1, isAny: true);
    }

    /// <summary>Whether two conditions are the same.</summary>
    public static bool operator ==(KvCondition left, KvCondition right) => left.Equals(right);

    /// <summary>Whether two conditions differ.</summary>
    public static bool operator !=(KvCondition left, KvCondition right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(KvCondition other) => _oneMore == other._oneMore && _isAny == other._isAny;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is KvCondition other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_oneMore, _isAny);

    /// <summary>The lowest and the highest revision of the entry, 0 for none, for which it holds.</summary>
    internal (long Min, long Max) Revisions =>
        !_isAny ? (_oneMore - 1, _oneMore - 1) : (1, _oneMore == 0 ? long.MaxValue : _oneMore - 1);

    /// <summary>Whether it holds for a key.</summary>
    /// <param name="revision">The revision of the entry that the key has; 0 when it has none.</param>
    internal bool HoldsFor(long revision)
    {
        Debug.Assert(!IsDefault && revision >= 0);
        return !_isAny ? revision == _oneMore - 1 : revision != AbsentRevision && (_oneMore == 0 || revision < _oneMore);
    }
}

/// <summary>How a conditional write ended.</summary>
/// <param name="Succeeded">Whether the condition held.</param>
/// <param name="Revision">The new revision; where the condition did not hold, the one that stands, 0 when the key does not exist.</param>
public readonly record struct KvWriteResult(bool Succeeded, long Revision);
