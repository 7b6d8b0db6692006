using System.Text.Json;

namespace KvStore.Requests;

/// <summary>Metadata as JSON within JSON.</summary>
internal static class MetadataJson
{
    /// <summary>Writes metadata as it is stored; null when there is none.</summary>
    public static void Write(Utf8JsonWriter json, KvMetadata metadata)
    {
        if (metadata.IsNull)
        {
            json.WriteNullValue();
        }
        else
        {
            json.WriteRawValue(metadata.Utf8Json.Span, skipInputValidation: true);
        }
    }
}
