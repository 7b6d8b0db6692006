namespace KvStore;

/// <summary>
/// Makes a partial interface the typed view of a namespace: the generator of this package implements each of its methods, which
/// return <see cref="KvTypedEntry{TValue, TMetadata}"/> or <see cref="KvTypedEntries{TValue, TMetadata}"/>.
/// </summary>
/// <param name="name">The name of the namespace, as the Wrangler file binds it; for example <c>FLAGS_KV</c>.</param>
[AttributeUsage(AttributeTargets.Interface)]
public sealed class KvNamespaceAttribute(string name) : Attribute
{
    /// <summary>The name of the namespace.</summary>
    public string Name { get; } = name;

    /// <summary>
    /// The <see cref="System.Text.Json.Serialization.JsonSerializerContext"/> by which values and metadata are read and written.
    /// Needed for every type but <see cref="string"/>, <see cref="ReadOnlyMemory{T}"/> of bytes and <see cref="KvMetadata"/>.
    /// </summary>
    public Type? JsonContext { get; set; }

    /// <summary>The longest key, in bytes of UTF-8. Default 512; set it where <see cref="KvLimits.KeyBytesMax"/> is set.</summary>
    public int KeyBytesMax { get; set; } = 512;

    /// <summary>The shortest time to live, in seconds. Default 60; set it where <see cref="KvLimits.ExpirationTtlMin"/> is set.</summary>
    public int TtlSecondsMin { get; set; } = 60;
}
