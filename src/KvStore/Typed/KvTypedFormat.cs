using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using KvStore.Json;

namespace KvStore;

/// <summary>The formats of values and metadata in typed namespaces. Used by generated code.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class KvTypedFormat
{
    /// <summary>A value that is text as it stands; metadata that is a JSON string.</summary>
    public static KvTypedFormat<string> Text { get; } = new TextFormat();

    /// <summary>A value that is bytes as they stand. Metadata cannot be bytes.</summary>
    public static KvTypedFormat<ReadOnlyMemory<byte>> Bytes { get; } = new BytesFormat();

    /// <summary>Metadata of any JSON. A value cannot be of this type.</summary>
    public static KvTypedFormat<KvMetadata> Metadata { get; } = new MetadataFormat();

    /// <summary>JSON, by generated code.</summary>
    /// <typeparam name="T">The type.</typeparam>
    /// <param name="context">The context that knows the type.</param>
    /// <returns>The format.</returns>
    /// <exception cref="InvalidOperationException">The context does not know the type.</exception>
    public static KvTypedFormat<T> Json<T>(JsonSerializerContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.GetTypeInfo(typeof(T)) is JsonTypeInfo<T> typeInfo
            ? new JsonFormat<T>(typeInfo)
            : throw new InvalidOperationException(
                $"{context.GetType().Name} does not know {typeof(T).Name}; add [JsonSerializable(typeof({typeof(T).Name}))] to it.");
    }

    private sealed class TextFormat : KvTypedFormat<string>
    {
        internal override string Read(in KvValue value) => value.GetText()!;

        internal override KvContent Write(string value)
        {
            ArgumentNullException.ThrowIfNull(value);
            return value;
        }

        internal override string? ReadMetadata(in KvMetadata metadata)
        {
            var reader = new Utf8JsonReader(metadata.Utf8Json.Span);
            reader.Read();
            return reader.TokenType == JsonTokenType.String
                ? reader.GetString()
                : throw new JsonException("The metadata is not a JSON string.");
        }

        internal override KvMetadata WriteMetadata(string metadata) =>
            metadata is null ? default : KvMetadata.FromJson($"\"{JsonEncodedText.Encode(metadata, KvJson.Options.Encoder)}\"");
    }

    private sealed class BytesFormat : KvTypedFormat<ReadOnlyMemory<byte>>
    {
        internal override ReadOnlyMemory<byte> Read(in KvValue value) => value.GetBytes();

        internal override KvContent Write(ReadOnlyMemory<byte> value) => value;

        internal override ReadOnlyMemory<byte> ReadMetadata(in KvMetadata metadata) => throw new NotSupportedException("Metadata is JSON, not bytes.");

        internal override KvMetadata WriteMetadata(ReadOnlyMemory<byte> metadata) => throw new NotSupportedException("Metadata is JSON, not bytes.");
    }

    private sealed class MetadataFormat : KvTypedFormat<KvMetadata>
    {
        internal override KvMetadata Read(in KvValue value) => throw new NotSupportedException("KvMetadata is stored beside a value, not as one.");

        internal override KvContent Write(KvMetadata value) => throw new NotSupportedException("KvMetadata is stored beside a value, not as one.");

        internal override KvMetadata ReadMetadata(in KvMetadata metadata) => metadata;

        internal override KvMetadata WriteMetadata(KvMetadata metadata) => metadata;
    }

    private sealed class JsonFormat<T>(JsonTypeInfo<T> typeInfo) : KvTypedFormat<T>
    {
        internal override T? Read(in KvValue value) => value.GetJson(typeInfo);

        internal override KvContent Write(T value) => JsonSerializer.SerializeToUtf8Bytes(value, typeInfo);

        internal override T? ReadMetadata(in KvMetadata metadata) => metadata.As(typeInfo);

        internal override KvMetadata WriteMetadata(T metadata) => KvMetadata.From(metadata, typeInfo);
    }
}
