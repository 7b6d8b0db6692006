using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvStore.Json;
using KvStore.Records;

namespace KvStore;

/// <summary>
/// JSON that is stored beside a value and returned by get and list: any JSON value, <c>0</c>, <c>false</c> and <c>""</c>
/// included. The default value, and JSON <c>null</c>, mean that there is none.
/// </summary>
/// <remarks>
/// Immutable. Metadata that was read from a namespace is a view on the stored entry. Its content never changes, also after the key is
/// overwritten or deleted. At most 1,024 bytes in compact form are accepted by a put (<see cref="KvLimits.MetadataBytesMax"/>).
/// </remarks>
public readonly struct KvMetadata : IEquatable<KvMetadata>
{
    private const string UnreferencedCode = "Reflects over T; use the overload that takes a JsonTypeInfo<T> where code is trimmed or compiled ahead of time.";

    private readonly ReadOnlyMemory<byte> _json;
    private readonly bool _isCompact;

    private KvMetadata(ReadOnlyMemory<byte> json, bool isCompact)
    {
        _json = json;
        _isCompact = isCompact;
    }

    /// <summary>No metadata.</summary>
    public static KvMetadata Null => default;

    /// <summary>True when there is no metadata.</summary>
    public bool IsNull => _json.IsEmpty;

    /// <summary>The JSON as UTF-8; empty when <see cref="IsNull"/>. A view, not a copy.</summary>
    public ReadOnlyMemory<byte> Utf8Json => _json;

    /// <summary>Whether the bytes are the stored, compact form, so that a put need not bring them into it again.</summary>
    internal bool IsCompact => _isCompact;

    /// <summary>Takes JSON as it is.</summary>
    /// <param name="json">One JSON value. <c>null</c> makes no metadata.</param>
    /// <returns>The metadata.</returns>
    /// <exception cref="JsonException">The text is not one JSON value.</exception>
    public static KvMetadata FromJson(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        var utf8 = Encoding.UTF8.GetBytes(json);
        return FromUtf8Json(utf8);
    }

    /// <summary>Serialises a value with the web defaults of System.Text.Json (camel case).</summary>
    /// <typeparam name="T">The type to serialise.</typeparam>
    /// <param name="value">The value; null makes no metadata.</param>
    /// <returns>The metadata.</returns>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    public static KvMetadata From<T>(T value) => Of(JsonSerializer.SerializeToUtf8Bytes(value, KvJson.Options));

    /// <summary>Serialises a value by generated code.</summary>
    /// <typeparam name="T">The type to serialise.</typeparam>
    /// <param name="value">The value; null makes no metadata.</param>
    /// <param name="jsonTypeInfo">How to serialise it.</param>
    /// <returns>The metadata.</returns>
    public static KvMetadata From<T>(T value, JsonTypeInfo<T> jsonTypeInfo) =>
        Of(JsonSerializer.SerializeToUtf8Bytes(value, jsonTypeInfo));

    /// <summary>Reads the metadata as <typeparamref name="T"/>, with the web defaults of System.Text.Json.</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <returns>The value, or the default of <typeparamref name="T"/> when <see cref="IsNull"/>.</returns>
    /// <exception cref="JsonException">The JSON does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    public T? As<T>() => IsNull ? default : KvJson.Read<T>(_json.Span, KvJson.Options, KvJson.MetadataDoesNotFit);

    /// <summary>Reads the metadata as <typeparamref name="T"/> by generated code.</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="jsonTypeInfo">How to read it. The names of properties may be written with another naming policy.</param>
    /// <returns>The value, or the default of <typeparamref name="T"/> when <see cref="IsNull"/>.</returns>
    /// <exception cref="JsonException">The JSON does not fit <typeparamref name="T"/>.</exception>
    public T? As<T>(JsonTypeInfo<T> jsonTypeInfo) => IsNull ? default : KvJson.Read(_json.Span, jsonTypeInfo, KvJson.MetadataDoesNotFit);

    /// <summary>Whether both hold the same JSON text.</summary>
    public static bool operator ==(KvMetadata left, KvMetadata right) => left.Equals(right);

    /// <summary>Whether the JSON texts differ.</summary>
    public static bool operator !=(KvMetadata left, KvMetadata right) => !left.Equals(right);

    /// <summary>The JSON; <c>null</c> when there is none.</summary>
    public override string ToString() => IsNull ? "null" : Encoding.UTF8.GetString(_json.Span);

    /// <inheritdoc/>
    public bool Equals(KvMetadata other) => _json.Span.SequenceEqual(other._json.Span);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is KvMetadata other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.AddBytes(_json.Span);
        return hash.ToHashCode();
    }

    /// <summary>The metadata of a record (<see cref="RecordLayout"/>), as a view.</summary>
    internal static KvMetadata OfRecord(byte[] segment, int recordOffset)
    {
        // In bounds. Requires: a record begins at the offset.
        Debug.Assert(recordOffset + RecordLayout.HeaderBytes <= segment.Length, "A record begins at the offset.");
        ref var start = ref segment[recordOffset];
        int bytes = RecordLayout.Read<ushort>(in start, RecordLayout.MetadataBytesOffset);
        var keyBytes = RecordLayout.Read<ushort>(in start, RecordLayout.KeyBytesOffset) & RecordLayout.KeyBytesMask;
        return bytes == 0
            ? default
            : new KvMetadata(new ReadOnlyMemory<byte>(segment, recordOffset + RecordLayout.HeaderBytes + keyBytes, bytes), isCompact: true);
    }

    /// <summary>Makes metadata from JSON in UTF-8.</summary>
    /// <param name="utf8">One JSON value. It is not copied, so the bytes must not change afterwards. <c>null</c> makes no metadata.</param>
    /// <returns>The metadata.</returns>
    /// <exception cref="JsonException">The bytes are not one JSON value.</exception>
    public static KvMetadata FromUtf8Json(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            var reader = new Utf8JsonReader(utf8.Span, new JsonReaderOptions { MaxDepth = KvJson.DepthMax });
            reader.Read();
            var isNull = reader.TokenType == JsonTokenType.Null;
            reader.Skip();
            var isOneValue = !reader.Read();
            return !isOneValue ? throw new JsonException("Metadata must be one JSON value.")
                : isNull ? Null
                : new KvMetadata(utf8, isCompact: false);
        }
        catch (JsonException e)
        {
            throw KvJson.WithoutContent(e);
        }
    }

    private static KvMetadata Of(byte[] json) => json.AsSpan().SequenceEqual("null"u8) ? Null : new KvMetadata(json, isCompact: false);
}
