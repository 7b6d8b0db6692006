using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>What an operation answered, in the terms of the recordings.</summary>
internal abstract record Observed
{
    /// <summary>It succeeded and answered nothing.</summary>
    public sealed record Nothing : Observed;

    /// <summary>There is no value.</summary>
    public sealed record Null : Observed;

    /// <summary>A value read as text.</summary>
    public sealed record Text(string Value) : Observed;

    /// <summary>A value read as bytes.</summary>
    public sealed record Bytes(byte[] Value) : Observed;

    /// <summary>A value read from a stream to its end.</summary>
    public sealed record Stream(byte[] Value) : Observed;

    /// <summary>A value read as JSON.</summary>
    public sealed record Json(JsonElement Value) : Observed;

    /// <summary>A value with its metadata.</summary>
    public sealed record Entry(Observed Value, KvMetadata Metadata, string? CacheStatus) : Observed;

    /// <summary>The answers to many keys, in order.</summary>
    public sealed record Map(IReadOnlyList<(string Key, Observed Value)> Pairs) : Observed;

    /// <summary>Pages of a listing, in order.</summary>
    public sealed record Pages(IReadOnlyList<KvListPage> Value) : Observed;

    /// <summary>It failed.</summary>
    public sealed record Error(Exception Exception) : Observed;
}
