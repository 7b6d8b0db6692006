using System.Text.Encodings.Web;
using System.Text.Json;
using KvStore.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>What every answer but a value is wrapped in: <c>{success, errors, messages, result, result_info}</c>.</summary>
internal static class Envelope
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly byte[] s_done = [.. """{"success":true,"errors":[],"messages":[],"result":null}"""u8];

    /// <summary>Says that it was done, and nothing more.</summary>
    public static Task WriteDoneAsync(HttpResponse response)
    {
        response.ContentType = "application/json";
        response.ContentLength = s_done.Length;
        return response.BodyWriter.WriteAsync(s_done, response.HttpContext.RequestAborted).AsTask();
    }

    /// <summary>Begins an answer: the writer stands where the result is to be written.</summary>
    public static Utf8JsonWriter Begin(HttpResponse response)
    {
        response.ContentType = "application/json";
        var json = new Utf8JsonWriter(response.BodyWriter, s_options);
        json.WriteStartObject();
        json.WriteBoolean("success"u8, true);
        json.WriteStartArray("errors"u8);
        json.WriteEndArray();
        json.WriteStartArray("messages"u8);
        json.WriteEndArray();
        json.WritePropertyName("result"u8);
        return json;
    }

    /// <summary>Ends an answer whose result, and what follows it, has been written.</summary>
    public static async Task EndAsync(Utf8JsonWriter json, HttpResponse response)
    {
        json.WriteEndObject();
        await json.DisposeAsync().ConfigureAwait(false);
        await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>Hands on what has gathered, once it is enough, and waits for a client that reads slowly.</summary>
    public static async ValueTask FlushIfLargeAsync(Utf8JsonWriter json, HttpResponse response)
    {
        if (json.BytesPending >= 32 * 1024)
        {
            await json.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
            await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
        }
    }

    /// <summary>Says that it was refused, and why.</summary>
    public static async Task WriteAsync(HttpResponse response, Failure failure)
    {
        response.StatusCode = failure.Status;
        response.ContentType = "application/json";
        if (failure.Status == StatusCodes.Status401Unauthorized)
        {
            response.Headers.WWWAuthenticate = "Bearer";
        }
        else if (failure.Status == StatusCodes.Status429TooManyRequests)
        {
            response.Headers.RetryAfter = "1";
        }

        var json = new Utf8JsonWriter(response.BodyWriter, s_options);
        await using (json.ConfigureAwait(false))
        {
            json.WriteStartObject();
            json.WriteBoolean("success"u8, false);
            json.WriteStartArray("errors"u8);
            json.WriteStartObject();
            json.WriteNumber("code"u8, failure.Code);
            json.WriteString("message"u8, failure.Message);
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteStartArray("messages"u8);
            json.WriteEndArray();
            json.WriteNull("result"u8);
            json.WriteEndObject();
        }

        await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted).ConfigureAwait(false);
    }
}
