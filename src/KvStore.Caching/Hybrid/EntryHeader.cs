using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace KvStore.Hybrid;

/// <summary>
/// What the cache stores beside a value, as metadata of the entry: <c>{"expires":1764213340123,"tags":["books"]}</c>. The value of the entry is
/// what the serializer made, so other readers of the namespace can use it.
/// </summary>
/// <remarks>
/// <c>expires</c> and <c>localExpires</c> are milliseconds since 1970; 0 when the entry was not written for that level. <c>localExpires</c> is left
/// out when it is the same. <c>isNull</c> is true when the value is null. Tags that do not fit into the metadata are in front of the value, as
/// <c>tagBytes</c> bytes of JSON.
/// </remarks>
/// <param name="Expires">When the entry is gone.</param>
/// <param name="LocalExpires">When the entry is gone for callers who may read the local cache only.</param>
/// <param name="Tags">The tags as <see cref="TagSet"/> writes them; empty when they are in front of the value.</param>
/// <param name="IsNull">Whether the value is null.</param>
/// <param name="TagBytes">How many bytes of tags are in front of the value.</param>
internal readonly record struct EntryHeader(long Expires, long LocalExpires, string[] Tags, bool IsNull = false, int TagBytes = 0)
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    // Of this thread, while it is not in use.
    [ThreadStatic]
    private static (Utf8JsonWriter Json, ArrayBufferWriter<byte> Buffer)? s_writer;

    /// <summary>Makes the metadata.</summary>
    /// <param name="bytesMax">The most bytes that the namespace takes.</param>
    /// <param name="tagsInFront">The bytes for the front of the value, when the tags do not fit; otherwise empty.</param>
    public KvMetadata ToMetadata(int bytesMax, out ReadOnlyMemory<byte> tagsInFront)
    {
        tagsInFront = default;
        var metadata = Write(Tags, tagBytes: 0);
        if (metadata.Length > bytesMax && Tags.Length > 0)
        {
            var tags = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(tags, s_json))
            {
                WriteTags(json, Tags);
            }

            tagsInFront = tags.WrittenMemory;
            metadata = Write([], tagsInFront.Length);
        }

        return KvMetadata.FromUtf8Json(metadata);
    }

    /// <summary>Reads metadata. False when an entry was not written by the cache.</summary>
    public static bool TryRead(KvMetadata metadata, out EntryHeader header)
    {
        header = default;
        if (metadata.IsNull)
        {
            return false;
        }

        long? expires = null;
        long? localExpires = null;
        string[] tags = [];
        var isNull = false;
        var tagBytes = 0;
        var reader = new Utf8JsonReader(metadata.Utf8Json.Span);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("expires"u8))
            {
                reader.Read();
                expires = ReadNumber(ref reader);
            }
            else if (reader.ValueTextEquals("localExpires"u8))
            {
                reader.Read();
                localExpires = ReadNumber(ref reader);
            }
            else if (reader.ValueTextEquals("isNull"u8))
            {
                reader.Read();
                isNull = reader.TokenType == JsonTokenType.True;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("tagBytes"u8))
            {
                reader.Read();
                tagBytes = (int)Math.Clamp(ReadNumber(ref reader) ?? 0, 0, int.MaxValue);
            }
            else if (reader.ValueTextEquals("tags"u8))
            {
                reader.Read();
                tags = ReadTags(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        if (expires is null)
        {
            return false;
        }

        header = new EntryHeader(expires.Value, localExpires ?? expires.Value, tags, isNull, tagBytes);
        return true;
    }

    /// <summary>The tags of an entry, also when they are in front of its value.</summary>
    /// <param name="value">The bytes of the value.</param>
    public string[] TagsIn(ReadOnlySpan<byte> value)
    {
        if (TagBytes == 0 || TagBytes > value.Length)
        {
            return Tags;
        }

        try
        {
            var reader = new Utf8JsonReader(value[..TagBytes]);
            reader.Read();
            return ReadTags(ref reader);
        }
        catch (JsonException)
        {
            // Somebody else has written the value. It has no tags that could be removed.
            return Tags;
        }
    }

    private static long? ReadNumber(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number))
        {
            return number;
        }

        reader.Skip();
        return null;
    }

    private static string[] ReadTags(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return [];
        }

        var tags = new List<string>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.String)
            {
                tags.Add(reader.GetString()!);
            }
            else
            {
                reader.Skip();
            }
        }

        return [.. tags];
    }

    private static void WriteTags(Utf8JsonWriter json, string[] tags)
    {
        json.WriteStartArray();
        foreach (var tag in tags)
        {
            json.WriteStringValue(tag);
        }

        json.WriteEndArray();
    }

    private static (Utf8JsonWriter Json, ArrayBufferWriter<byte> Buffer) RentWriter()
    {
        if (s_writer is { } rented)
        {
            s_writer = null;
            rented.Buffer.ResetWrittenCount();
            rented.Json.Reset();
            return rented;
        }

        var buffer = new ArrayBufferWriter<byte>(128);
        return (new Utf8JsonWriter(buffer, s_json), buffer);
    }

    private byte[] Write(string[] tags, int tagBytes)
    {
        var (json, buffer) = RentWriter();
        json.WriteStartObject();
        json.WriteNumber("expires"u8, Expires);
        if (LocalExpires != Expires)
        {
            json.WriteNumber("localExpires"u8, LocalExpires);
        }

        if (IsNull)
        {
            json.WriteBoolean("isNull"u8, true);
        }

        if (tagBytes > 0)
        {
            json.WriteNumber("tagBytes"u8, tagBytes);
        }

        if (tags.Length > 0)
        {
            json.WritePropertyName("tags"u8);
            WriteTags(json, tags);
        }

        json.WriteEndObject();
        json.Flush();
        var metadata = buffer.WrittenSpan.ToArray();
        s_writer = (json, buffer);
        return metadata;
    }
}
