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
        var preconditions = Preconditions.Read(context.Request);
        if (!preconditions.IsEmpty || IsMultipart(context.Request))
        {
            return PutAsync(context, kv, key, preconditions);
        }

        var put = PutBody.PutAsync(context, new PutTarget(kv), key, PutQuery.Read(context.Request, default));
        return put.IsCompletedSuccessfully ? Envelope.WriteDoneAsync(context.Response) : ThenDone(put.AsTask(), context);
    }

    public static Task DeleteAsync(HttpContext context, IKvNamespace kv, string key)
    {
        var preconditions = Preconditions.Read(context.Request);
        return ThenDone(
            preconditions.IsEmpty ? kv.DeleteAsync(key, context.RequestAborted).AsTask() : DeleteAsync(context, kv, key, preconditions),
            context);
    }

    public static Failure KeyNotFound { get; } = new(404, Failure.KeyNotFoundCode, "get: 'key not found'");

    private static bool IsMultipart(HttpRequest request) =>
        request.ContentType is { } type && type.StartsWith(MultipartBody.MediaType, StringComparison.OrdinalIgnoreCase);

    private static async Task PutAsync(HttpContext context, IKvNamespace kv, string key, Preconditions preconditions)
    {
        var target = new PutTarget(kv, await preconditions.ToConditionAsync(kv, key, context.RequestAborted).ConfigureAwait(false));
        var revision = IsMultipart(context.Request)
            ? await MultipartPut.PutAsync(context, target, key).ConfigureAwait(false)
            : await PutBody.PutAsync(context, target, key, PutQuery.Read(context.Request, default)).ConfigureAwait(false);
        if (revision > 0)
        {
            context.Response.Headers.ETag = Preconditions.TagOf(revision);
        }

        await Envelope.WriteDoneAsync(context.Response).ConfigureAwait(false);
    }

    private static async Task DeleteAsync(HttpContext context, IKvNamespace kv, string key, Preconditions preconditions)
    {
        var condition = await preconditions.ToConditionAsync(kv, key, context.RequestAborted).ConfigureAwait(false);
        var deleted = await ((IKvExtendedNamespace)kv).TryDeleteAsync(key, condition!.Value, context.RequestAborted).ConfigureAwait(false);
        if (!deleted.Succeeded)
        {
            throw new RefusedException(Failure.PreconditionFailed);
        }
    }

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
        var revision = value.Revision;
        if (revision > 0)
        {
            response.Headers.ETag = Preconditions.TagOf(revision);
        }

        if (value.Expiration is { } expiration)
        {
            response.Headers["expiration"] = expiration.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        }

        if (IsNotModified(context.Request, kv, value, revision))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        response.ContentType = "application/octet-stream";
        return ValueResponse.WriteAsync(response, kv, value);
    }

    // The value is released where it is not written.
    private static bool IsNotModified(HttpRequest request, IKvNamespace kv, in KvValue value, long revision)
    {
        var isWritten = false;
        try
        {
            var preconditions = Preconditions.Read(request);
            isWritten = preconditions.IsEmpty || !preconditions.IsNotModified(revision);
            return !isWritten;
        }
        finally
        {
            if (!isWritten)
            {
                ValueLeases.Release(kv, value);
            }
        }
    }
}
