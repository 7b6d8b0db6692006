using System.Text.Encodings.Web;
using System.Text.Json;
using KvStore.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Binding;

/// <summary>The JSON that the runtime reads: pages of keys, and many values.</summary>
internal static class BindingJson
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static async Task WriteAsync(HttpResponse response, KvListPage page)
    {
        var json = Begin(response);
        json.WriteStartArray("keys"u8);
        foreach (var key in page.Keys)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, key.Name);
            if (key.Expiration is { } expiration)
            {
                json.WriteNumber("expiration"u8, expiration.ToUnixTimeSeconds());
            }

            if (!key.Metadata.IsNull)
            {
                // As a text, which the runtime parses.
                json.WriteString("metadata"u8, key.Metadata.Utf8Json.Span);
            }

            json.WriteEndObject();
            await FlushIfLargeAsync(json, response).ConfigureAwait(false);
        }

        json.WriteEndArray();
        json.WriteBoolean("list_complete"u8, page.ListComplete);
        if (page.Cursor is { } cursor)
        {
            json.WriteString("cursor"u8, cursor);
        }

        await EndAsync(json, response).ConfigureAwait(false);
    }

    public static async Task WriteAsync(HttpResponse response, BulkGetRequest request, IReadOnlyDictionary<string, KvValue> values)
    {
        var json = Begin(response);
        foreach (var (key, value) in BulkGetRequest.Answers(values))
        {
            json.WritePropertyName(key);
            if (!value.Exists)
            {
                json.WriteNullValue();
            }
            else if (request.WithMetadata)
            {
                json.WriteStartObject();
                json.WritePropertyName("value"u8);
                await request.WriteValueAsync(json, value, response.HttpContext.RequestAborted).ConfigureAwait(false);
                json.WritePropertyName("metadata"u8);
                MetadataJson.Write(json, value.Metadata);
                json.WriteEndObject();
            }
            else
            {
                await request.WriteValueAsync(json, value, response.HttpContext.RequestAborted).ConfigureAwait(false);
            }

            await FlushIfLargeAsync(json, response).ConfigureAwait(false);
        }

        await EndAsync(json, response).ConfigureAwait(false);
    }

    private static Utf8JsonWriter Begin(HttpResponse response)
    {
        response.ContentType = "application/json";
        var json = new Utf8JsonWriter(response.BodyWriter, s_options);
        json.WriteStartObject();
        return json;
    }

    private static async ValueTask FlushIfLargeAsync(Utf8JsonWriter json, HttpResponse response)
    {
        if (json.BytesPending >= 32 * 1024)
        {
            await json.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
            await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
        }
    }

    private static async Task EndAsync(Utf8JsonWriter json, HttpResponse response)
    {
        json.WriteEndObject();
        await json.DisposeAsync().ConfigureAwait(false);
        await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
    }
}
