using System.Globalization;
using KvStore.Http;
using KvStore.Transport;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary><c>/{id}/values/{key}</c>: the raw bytes of a value.</summary>
internal static class ValuesResource
{
    public static Task GetAsync(HttpContext context, IKvNamespace kv, ReadOnlySpan<char> encodedKey)
    {
        if (kv is KvNamespace local)
        {
            return RequestKey.TryGet(local, encodedKey, NulMarks.AreSet(context, encodedKey), out var value) ? WriteAsync(context, kv, value) : throw new RefusedException(KeyNotFound);
        }

        return GetAsync(context, kv, RequestKey.Decode(encodedKey, NulMarks.AreSet(context, encodedKey), "GET"));
    }

    public static Task PutAsync(HttpContext context, IKvNamespace kv, string key)
    {
        var request = context.Request;
        if (request.ContentType is { } type && type.StartsWith(MultipartBody.MediaType, StringComparison.OrdinalIgnoreCase))
        {
            return MultipartPut.PutAsync(context, kv, key);
        }

        var put = PutBody.PutAsync(context, kv, key, PutQuery.Read(request, default));
        return put.IsCompletedSuccessfully ? Envelope.WriteDoneAsync(context.Response) : ThenDone(put.AsTask(), context);
    }

    public static Task DeleteAsync(HttpContext context, IKvNamespace kv, string key) =>
        ThenDone(kv.DeleteAsync(key, context.RequestAborted).AsTask(), context);

    public static Failure KeyNotFound { get; } = new(404, Failure.KeyNotFoundCode, "get: 'key not found'");

    private static async Task ThenDone(Task task, HttpContext context)
    {
        await task.ConfigureAwait(false);
        await Envelope.WriteDoneAsync(context.Response).ConfigureAwait(false);
    }

    private static async Task GetAsync(HttpContext context, IKvNamespace kv, string key)
    {
        var value = await kv.GetAsync(key, options: null, context.RequestAborted).ConfigureAwait(false);
        await (value.Exists ? WriteAsync(context, kv, value) : throw new RefusedException(KeyNotFound)).ConfigureAwait(false);
    }

    private static Task WriteAsync(HttpContext context, IKvNamespace kv, in KvValue value)
    {
        var response = context.Response;
        response.ContentType = "application/octet-stream";
        if (value.Expiration is { } expiration)
        {
            response.Headers["expiration"] = expiration.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        }

        return ValueResponse.WriteAsync(response, kv, value);
    }
}
