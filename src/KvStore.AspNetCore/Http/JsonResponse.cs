using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>Writes JSON as the body of a response, part by part, so that a slow client does not make the server buffer all of it.</summary>
internal static class JsonResponse
{
    private const int FlushBytes = 32 * 1024;

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Begins the body.</summary>
    public static Utf8JsonWriter Begin(HttpResponse response)
    {
        response.ContentType = "application/json";
        return new Utf8JsonWriter(response.BodyWriter, s_options);
    }

    /// <summary>Sends what has been written once it is more than 32 KiB, and waits until the client has taken it.</summary>
    public static async ValueTask FlushIfLargeAsync(Utf8JsonWriter json, HttpResponse response)
    {
        if (json.BytesPending >= FlushBytes)
        {
            await FlushAsync(json, response).ConfigureAwait(false);
        }
    }

    /// <summary>Sends what has been written, and waits until the client has taken it.</summary>
    public static async ValueTask FlushAsync(Utf8JsonWriter json, HttpResponse response)
    {
        await json.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
        await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>Ends the body, whose last object has been closed.</summary>
    public static async Task EndAsync(Utf8JsonWriter json, HttpResponse response)
    {
        await json.DisposeAsync().ConfigureAwait(false);
        await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>Writes metadata as JSON within JSON; null when there is none.</summary>
    public static void WriteMetadata(Utf8JsonWriter json, KvMetadata metadata)
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
