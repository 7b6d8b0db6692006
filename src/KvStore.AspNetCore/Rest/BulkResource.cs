using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>
/// <c>/{id}/bulk</c>: many pairs or keys in one request. All entries are checked before the first is stored or deleted, so a request
/// with an entry that can never succeed changes nothing.
/// </summary>
internal sealed class BulkResource(KvApiOptions options)
{
    private const int SmallBytesMax = 16 * 1024;
    private const int GetKeysBytesMax = 1024 * 1024;
    private const string NothingStored = "No entry was stored.";
    private const string NothingDeleted = "No entry was deleted.";

    private readonly BytesInFlight _inFlight = new(options);

    public async Task PutAsync(HttpContext context, IKvNamespace kv, KvToken token)
    {
        using var share = _inFlight.Enter(token);
        var body = new BulkBody(context, options, share);
        await using var disposeBody = body.ConfigureAwait(false);
        await body.ForEachAsync(NothingStored, async reader =>
        {
            try
            {
                var entry = await reader.GetEntryAsync(context.RequestAborted).ConfigureAwait(false);
                await using (entry.ConfigureAwait(false))
                {
                    if (kv is KvNamespace local)
                    {
                        local.Limits.CheckPut(entry.Key, entry.ValueBytes, entry.Options, local.TimeProvider.GetUtcNow());
                    }
                }
            }
            catch (Exception e) when (e is FormatException or KvException or ArgumentException)
            {
                throw Invalid(reader, "stored", e, NothingStored);
            }
        }).ConfigureAwait(false);

        var outcome = new BulkOutcome("stored");
        try
        {
            await body.ForEachAsync(NothingStored, async reader =>
            {
                var entry = await reader.GetEntryAsync(context.RequestAborted).ConfigureAwait(false);
                await using (entry.ConfigureAwait(false))
                {
                    await outcome.AddAsync(reader.Count - 1, entry.Key, () => kv.PutAsync(entry.Key, entry.Content, entry.Options, context.RequestAborted).AsTask()).ConfigureAwait(false);

                    // The order of a streamed value is fixed only when it has been read, so no later put may overtake it; and its
                    // temporary file is there until the next entry is read.
                    if (entry.IsStreamed || entry.ValueBytes > SmallBytesMax)
                    {
                        await outcome.SettleAsync().ConfigureAwait(false);
                    }
                }
            }).ConfigureAwait(false);
            await outcome.SettleAsync().ConfigureAwait(false);
        }
        finally
        {
            await outcome.AbandonAsync().ConfigureAwait(false);
        }

        await outcome.WriteAsync(context.Response).ConfigureAwait(false);
    }

    public async Task DeleteAsync(HttpContext context, IKvNamespace kv, KvToken token)
    {
        using var share = _inFlight.Enter(token);
        var body = new BulkBody(context, options, share);
        await using var disposeBody = body.ConfigureAwait(false);
        await body.ForEachAsync(NothingDeleted, reader =>
        {
            try
            {
                var key = reader.GetKey();
                (kv as KvNamespace)?.Limits.CheckKey(key, "DELETE");
                return default;
            }
            catch (Exception e) when (e is FormatException or KvException or ArgumentException)
            {
                throw Invalid(reader, "deleted", e, NothingDeleted);
            }
        }).ConfigureAwait(false);

        var outcome = new BulkOutcome("deleted");
        try
        {
            await body.ForEachAsync(NothingDeleted, reader =>
            {
                var key = reader.GetKey();
                return outcome.AddAsync(reader.Count - 1, key, () => kv.DeleteAsync(key, context.RequestAborted).AsTask());
            }).ConfigureAwait(false);
            await outcome.SettleAsync().ConfigureAwait(false);
        }
        finally
        {
            await outcome.AbandonAsync().ConfigureAwait(false);
        }

        await outcome.WriteAsync(context.Response).ConfigureAwait(false);
    }

    public async Task GetAsync(HttpContext context, IKvNamespace kv, KvToken token)
    {
        using var share = _inFlight.Enter(token);
        RequestBody.Bound(context, GetKeysBytesMax);
        share.Add(context.Request.ContentLength ?? GetKeysBytesMax);
        var request = await BulkGetRequest.ReadAsync(context).ConfigureAwait(false);
        var values = await kv.GetManyAsync(request.Keys, options: null, context.RequestAborted).ConfigureAwait(false);
        using var leases = new ValueLeases(kv, values.Values);
        share.Add(values.Values.Sum(static value => value.IsLarge ? 0L : value.Length));
        await request.CheckValuesAsync(values.Values, context.RequestAborted).ConfigureAwait(false);

        var json = Envelope.Begin(context.Response);
        json.WriteStartObject();
        json.WriteStartObject("values"u8);
        await BulkGetResponse.WriteAsync(json, request, values, context.Response, showsExpiration: true).ConfigureAwait(false);
        json.WriteEndObject();
        json.WriteEndObject();
        await Envelope.EndAsync(json, context.Response).ConfigureAwait(false);
    }

    private static RefusedException Invalid(KvBulkReader reader, string verb, Exception e, string unchanged)
    {
        var reason = e is FormatException ? e.Message : Failure.Of(e, isNamespaceGone: false)!.Value.Message;
        return new RefusedException(Failure.Malformed(Invariant($"Entry {reader.Count - 1} cannot be {verb}: {reason} {unchanged}")));
    }
}
