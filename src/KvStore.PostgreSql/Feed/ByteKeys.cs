namespace KvStore.PostgreSql.Feed;

/// <summary>Keys in UTF-8 as keys of dictionaries.</summary>
internal sealed class ByteKeys : IEqualityComparer<ReadOnlyMemory<byte>>
{
    public static ByteKeys Comparer { get; } = new();

    public bool Equals(ReadOnlyMemory<byte> x, ReadOnlyMemory<byte> y) => x.Span.SequenceEqual(y.Span);

    public int GetHashCode(ReadOnlyMemory<byte> key)
    {
        var hash = default(HashCode);
        hash.AddBytes(key.Span);
        return hash.ToHashCode();
    }
}
