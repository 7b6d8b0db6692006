using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Binding;

/// <summary>The JSON that the runtime reads: pages of keys, and the values of many keys.</summary>
internal static class BindingJson
{
    public static async Task WriteAsync(HttpResponse response, KvListPage page)
    {
        var json = JsonResponse.Begin(response);
        json.WriteStartObject();
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
                // As a string, which the runtime parses.
                json.WriteString("metadata"u8, key.Metadata.Utf8Json.Span);
            }

            json.WriteEndObject();
            await JsonResponse.FlushIfLargeAsync(json, response).ConfigureAwait(false);
        }

        json.WriteEndArray();
        json.WriteBoolean("list_complete"u8, page.ListComplete);
        if (page.Cursor is { } cursor)
        {
            json.WriteString("cursor"u8, cursor);
        }

        json.WriteEndObject();
        await JsonResponse.EndAsync(json, response).ConfigureAwait(false);
    }

    public static async Task WriteAsync(HttpResponse response, BulkGetRequest request, IReadOnlyDictionary<string, KvValue> values)
    {
        var json = JsonResponse.Begin(response);
        json.WriteStartObject();
        await BulkGetResponse.WriteAsync(json, request, values, response, showsExpiration: false).ConfigureAwait(false);
        json.WriteEndObject();
        await JsonResponse.EndAsync(json, response).ConfigureAwait(false);
    }
}
