using System.Buffers;
using System.Diagnostics;
using System.Text.Encodings.Web;
using System.Text.Json;
using KvStore.Adapters;

namespace KvStore.OutputCaching;

/// <summary>
/// What is kept beside a page, as metadata of its entry: <c>{"until":"2026-01-02T03:04:05Z","set":17,"tags":["a","b"]}</c>. Tags that do not fit
/// there are JSON at the beginning of the value, and the metadata says how many bytes they take: <c>"tagBytes"</c>.
/// </summary>
/// <param name="Until">The moment from which the page is gone.</param>
/// <param name="SetNumber">The place of the write in the order of the writes of tagged pages; 0 for a page without tags.</param>
/// <param name="TagBytes">How many bytes of tags the value begins with.</param>
internal readonly record struct PageHeader(ExactDeadline Until, long SetNumber, int TagBytes)
{
    /// <summary>The largest metadata that is written.</summary>
    public const int MetadataBytesMax = 512;

    // Readable in the dashboard: only what JSON demands is escaped.
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the metadata of a page.</summary>
    /// <param name="until">The moment from which it is gone.</param>
    /// <param name="setNumber">The number of the write; 0 for a page without tags.</param>
    /// <param name="tags">The names of the tags, from <see cref="TagNames"/>.</param>
    /// <param name="valueTags">The bytes that the value must begin with; empty when the tags fit into the metadata.</param>
    public static KvMetadata Write(ExactDeadline until, long setNumber, string[] tags, out ReadOnlyMemory<byte> valueTags)
    {
        Debug.Assert((setNumber > 0) == (tags.Length > 0));
        valueTags = default;
        var metadata = WriteMetadata(until, setNumber, tags, tagBytes: 0);
        if (metadata.Length > MetadataBytesMax)
        {
            var buffer = new ArrayBufferWriter<byte>();
            using (var writer = new Utf8JsonWriter(buffer, s_options))
            {
                WriteTags(writer, tags);
            }

            valueTags = buffer.WrittenMemory;
            metadata = WriteMetadata(until, setNumber, [], valueTags.Length);
        }

        Debug.Assert(metadata.Length <= MetadataBytesMax);
        return KvMetadata.FromUtf8Json(metadata);
    }

    /// <summary>Reads the metadata of an entry.</summary>
    /// <param name="metadata">The metadata.</param>
    /// <param name="tags">The tags in the metadata are added to this list; null when they are not needed.</param>
    /// <param name="header">What it says.</param>
    /// <returns>False when the entry is no page.</returns>
    public static bool TryRead(in KvMetadata metadata, List<string>? tags, out PageHeader header)
    {
        header = default;
        if (metadata.IsNull)
        {
            return false;
        }

        DateTimeOffset? until = null;
        long number = 0;
        var tagBytes = 0;
        try
        {
            var reader = new Utf8JsonReader(metadata.Utf8Json.Span);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("until"u8))
                {
                    reader.Read();
                    until = reader.GetDateTimeOffset();
                }
                else if (reader.ValueTextEquals("set"u8))
                {
                    reader.Read();
                    number = reader.GetInt64();
                }
                else if (reader.ValueTextEquals("tagBytes"u8))
                {
                    reader.Read();
                    tagBytes = reader.GetInt32();
                }
                else if (reader.ValueTextEquals("tags"u8) && tags is not null)
                {
                    reader.Read();
                    ReadTags(ref reader, tags);
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            // Somebody else has written the entry.
            return false;
        }

        header = new PageHeader(new ExactDeadline(until.GetValueOrDefault().UtcTicks), number, tagBytes);
        return until is not null && number >= 0 && tagBytes >= 0;
    }

    /// <summary>Reads the tags that a value begins with.</summary>
    /// <returns>False when the value does not begin with tags.</returns>
    public bool TryReadValueTags(ReadOnlySpan<byte> value, List<string> tags)
    {
        if (TagBytes > value.Length)
        {
            return false;
        }

        try
        {
            var reader = new Utf8JsonReader(value[..TagBytes]);
            reader.Read();
            ReadTags(ref reader, tags);
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private static byte[] WriteMetadata(ExactDeadline until, long setNumber, string[] tags, int tagBytes)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        using (var writer = new Utf8JsonWriter(buffer, s_options))
        {
            writer.WriteStartObject();
            writer.WriteString("until"u8, new DateTime(until.UtcTicks, DateTimeKind.Utc));
            if (setNumber > 0)
            {
                writer.WriteNumber("set"u8, setNumber);
            }

            if (tagBytes > 0)
            {
                writer.WriteNumber("tagBytes"u8, tagBytes);
            }
            else if (tags.Length > 0)
            {
                writer.WritePropertyName("tags"u8);
                WriteTags(writer, tags);
            }

            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteTags(Utf8JsonWriter writer, string[] tags)
    {
        writer.WriteStartArray();
        foreach (var tag in tags)
        {
            writer.WriteStringValue(tag);
        }

        writer.WriteEndArray();
    }

    private static void ReadTags(ref Utf8JsonReader reader, List<string> tags)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new JsonException("The tags are no array.");
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            tags.Add(reader.GetString() ?? throw new JsonException("A tag is null."));
        }
    }
}
