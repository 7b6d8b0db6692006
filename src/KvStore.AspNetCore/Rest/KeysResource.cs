using System.Globalization;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary><c>/{id}/keys</c> and <c>/{id}/metadata/{key}</c>: names, expirations and metadata, never values.</summary>
internal static class KeysResource
{
    private const int LimitMin = 10;
    private const int LimitMax = 1000;

    public static async Task ListAsync(HttpContext context, IKvNamespace kv)
    {
        var query = context.Request.Query;
        var page = await kv.ListAsync(
            new KvListOptions { Prefix = query["prefix"], Cursor = query["cursor"], Limit = Limit(query["limit"]) },
            context.RequestAborted).ConfigureAwait(false);

        var response = context.Response;
        var json = Envelope.Begin(response);
        json.WriteStartArray();
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
                json.WritePropertyName("metadata"u8);
                JsonResponse.WriteMetadata(json, key.Metadata);
            }

            json.WriteEndObject();
            await JsonResponse.FlushIfLargeAsync(json, response).ConfigureAwait(false);
        }

        json.WriteEndArray();
        json.WriteStartObject("result_info"u8);
        json.WriteNumber("count"u8, page.Keys.Count);
        json.WriteString("cursor"u8, page.Cursor ?? "");
        json.WriteEndObject();
        await Envelope.EndAsync(json, response).ConfigureAwait(false);
    }

    public static async Task GetMetadataAsync(HttpContext context, IKvNamespace kv, string key)
    {
        var value = await kv.GetAsync(key, options: null, context.RequestAborted).ConfigureAwait(false);
        if (!value.Exists)
        {
            throw new RefusedException(ValuesResource.KeyNotFound);
        }

        ValueLeases.Release(kv, value);
        var json = Envelope.Begin(context.Response);
        JsonResponse.WriteMetadata(json, value.Metadata);
        await Envelope.EndAsync(json, context.Response).ConfigureAwait(false);
    }

    private static int? Limit(string? limit)
    {
        if (string.IsNullOrEmpty(limit))
        {
            return null;
        }

        return int.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= LimitMin and <= LimitMax
            ? number
            : throw new RefusedException(Failure.Malformed($"Invalid limit of {limit}. It must be {LimitMin} to {LimitMax}."));
    }
}
