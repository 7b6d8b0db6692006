using System.Text.Json;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>The envelope of every answer but a value: <c>{success, errors, messages, result, result_info}</c>.</summary>
internal static class Envelope
{
    private static readonly byte[] s_done = [.. """{"success":true,"errors":[],"messages":[],"result":null}"""u8];

    /// <summary>Writes an answer without a result.</summary>
    public static Task WriteDoneAsync(HttpResponse response)
    {
        response.ContentType = "application/json";
        response.ContentLength = s_done.Length;
        return response.BodyWriter.WriteAsync(s_done, response.HttpContext.RequestAborted).AsTask();
    }

    /// <summary>Begins an answer. The caller writes the result next.</summary>
    public static Utf8JsonWriter Begin(HttpResponse response)
    {
        var json = JsonResponse.Begin(response);
        json.WriteStartObject();
        json.WriteBoolean("success"u8, true);
        json.WriteStartArray("errors"u8);
        json.WriteEndArray();
        json.WriteStartArray("messages"u8);
        json.WriteEndArray();
        json.WritePropertyName("result"u8);
        return json;
    }

    /// <summary>Ends an answer whose result has been written, and all that follows the result.</summary>
    public static Task EndAsync(Utf8JsonWriter json, HttpResponse response)
    {
        json.WriteEndObject();
        return JsonResponse.EndAsync(json, response);
    }

    /// <summary>Writes a failure.</summary>
    public static Task WriteAsync(HttpResponse response, Failure failure)
    {
        response.StatusCode = failure.Status;
        if (failure.Status == StatusCodes.Status401Unauthorized)
        {
            response.Headers.WWWAuthenticate = "Bearer";
        }
        else if (failure.Status == StatusCodes.Status429TooManyRequests)
        {
            response.Headers.RetryAfter = "1";
        }

        var json = JsonResponse.Begin(response);
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
        return EndAsync(json, response);
    }
}
