using System.Text.Json;
using KvStore.Bulk;
using KvStore.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>
/// <c>/{id}/bulk</c>: many pairs or keys in one request. All of them are checked before the first is stored or deleted: a
/// request with an entry that can never succeed changes nothing.
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
        await body.ForEachAsync(NothingStored, async (reader, json) =>
        {
            try
            {
                var entry = await ParseAsync(reader, json, context.RequestAborted).ConfigureAwait(false);
                await using (entry.ConfigureAwait(false))
                {
                    (kv as KvNamespace)?.CheckPut(entry.Key, entry.ValueBytes, entry.Options);
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
            await body.ForEachAsync(NothingStored, async (reader, json) =>
            {
                var entry = await ParseAsync(reader, json, context.RequestAborted).ConfigureAwait(false);
                await using (entry.ConfigureAwait(false))
                {
                    await outcome.AddAsync(reader.Count - 1, entry.Key, () => kv.PutAsync(entry.Key, entry.Content, entry.Options, context.RequestAborted).AsTask()).ConfigureAwait(false);

                    // A large one is not taken in the order of the calls, so nothing may overtake it; and it is there until the
                    // next entry is read.
                    if (json.Length > SmallBytesMax || reader.HasTexts)
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
        await body.ForEachAsync(NothingDeleted, (reader, json) =>
        {
            try
            {
                var key = KeyOf(reader, json);
                (kv as KvNamespace)?.CheckDelete(key);
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
            await body.ForEachAsync(NothingDeleted, (reader, json) =>
            {
                var key = KeyOf(reader, json);
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
        using var views = new HeldViews(kv, values.Values);
        share.Add(values.Values.Sum(static value => value.IsLarge ? 0L : value.Length));
        if (request.IsJson)
        {
            await BulkGetRequest.CheckAllAreJsonAsync(values.Values, context.RequestAborted).ConfigureAwait(false);
        }

        await WriteAsync(context.Response, request, values).ConfigureAwait(false);
    }

    private static async Task WriteAsync(HttpResponse response, BulkGetRequest request, IReadOnlyDictionary<string, KvValue> values)
    {
        var json = Envelope.Begin(response);
        json.WriteStartObject();
        json.WriteStartObject("values"u8);
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
                await request.WriteValueAsync(json, value, response).ConfigureAwait(false);
                json.WritePropertyName("metadata"u8);
                MetadataJson.Write(json, value.Metadata);
                if (value.Expiration is { } expiration)
                {
                    json.WriteNumber("expiration"u8, expiration.ToUnixTimeSeconds());
                }

                json.WriteEndObject();
            }
            else
            {
                await request.WriteValueAsync(json, value, response).ConfigureAwait(false);
            }

            await Envelope.FlushIfLargeAsync(json, response).ConfigureAwait(false);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        await Envelope.EndAsync(json, response).ConfigureAwait(false);
    }

    private static async ValueTask<BulkEntry> ParseAsync(BulkReader reader, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        using var document = BulkEntry.Open(json);
        var key = BulkEntry.KeyOf(document.RootElement, reader.Texts);
        return await BulkEntry.ParseAsync(document.RootElement, key, reader.Texts, cancellationToken).ConfigureAwait(false);
    }

    // A name, or what a listing shows of one.
    private static string KeyOf(BulkReader reader, ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = BulkEntry.Open(json);
            var element = document.RootElement;
            var name = element.ValueKind == JsonValueKind.Object && element.TryGetProperty("name"u8, out var property) ? property : element;
            return name.ValueKind == JsonValueKind.String
                ? BulkEntry.KeyTextOf(name, reader.Texts)
                : throw new FormatException("It is not a key: each must be a text.");
        }
        catch (InvalidOperationException e)
        {
            throw new FormatException("The name of a property holds an escape that is half of a surrogate pair.", e);
        }
    }

    private static RefusedException Invalid(BulkReader reader, string verb, Exception e, string unchanged)
    {
        var reason = e is FormatException ? e.Message : Failure.Of(e, isNamespaceGone: false)!.Value.Message;
        return new RefusedException(Failure.Malformed(Invariant($"Entry {reader.Count - 1} cannot be {verb}: {reason} {unchanged}")));
    }
}
