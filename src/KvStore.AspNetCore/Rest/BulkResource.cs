using System.Text;
using System.Text.Json;
using KvStore.Bulk;
using KvStore.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>
/// <c>/{id}/bulk</c>: many pairs or keys in one request, read as they arrive. Several puts are under way at once, so that one
/// flush of the disk serves them all.
/// </summary>
internal sealed class BulkResource(KvApiOptions options)
{
    private const int UnderWayMax = 64;
    private const int SmallBytesMax = 16 * 1024;
    private const int GetKeysBytesMax = 1024 * 1024;
    private const int ReasonsMax = 100;

    private int _underWay;

    public async Task PutAsync(HttpContext context, IKvNamespace kv)
    {
        using var place = Enter(context);
        var outcome = new Outcome();
        var underWay = new List<(string Key, Task Put)>();
        await foreach (var entryJson in ReadAsync(context, outcome).ConfigureAwait(false))
        {
            string? key = null;
            try
            {
                BulkEntry entry;
                using (var document = BulkEntry.Open(entryJson))
                {
                    key = BulkEntry.KeyOf(document.RootElement);
                    entry = BulkEntry.Parse(document.RootElement, key);
                }

                underWay.Add((entry.Key, kv.PutAsync(entry.Key, entry.Content, entry.Options, context.RequestAborted).AsTask()));
            }
            catch (Exception e) when (key is not null && (e is FormatException or KvException or ArgumentException))
            {
                outcome.Refuse(key!, e.Message);
            }
            catch (FormatException e)
            {
                throw await StoppedAsync(e.Message, underWay, outcome).ConfigureAwait(false);
            }

            // A large one is not taken in the order of the calls, so nothing may overtake it.
            if (underWay.Count >= UnderWayMax || entryJson.Length > SmallBytesMax)
            {
                await SettleAsync(underWay, outcome).ConfigureAwait(false);
            }
        }

        await SettleAsync(underWay, outcome).ConfigureAwait(false);
        await WriteAsync(context.Response, outcome).ConfigureAwait(false);
    }

    public async Task DeleteAsync(HttpContext context, IKvNamespace kv)
    {
        using var place = Enter(context);
        var outcome = new Outcome();
        var underWay = new List<(string Key, Task Delete)>();
        await foreach (var keyJson in ReadAsync(context, outcome).ConfigureAwait(false))
        {
            var key = KeyOf(keyJson);
            if (key is null)
            {
                throw await StoppedAsync("It is not a key: each must be a text.", underWay, outcome).ConfigureAwait(false);
            }

            try
            {
                underWay.Add((key, kv.DeleteAsync(key, context.RequestAborted).AsTask()));
            }
            catch (Exception e) when (e is KvException or ArgumentException)
            {
                outcome.Refuse(key, e.Message);
            }

            if (underWay.Count >= UnderWayMax)
            {
                await SettleAsync(underWay, outcome).ConfigureAwait(false);
            }
        }

        await SettleAsync(underWay, outcome).ConfigureAwait(false);
        await WriteAsync(context.Response, outcome).ConfigureAwait(false);
    }

    public async Task GetAsync(HttpContext context, IKvNamespace kv)
    {
        using var place = Enter(context);
        RequestBody.Bound(context, GetKeysBytesMax);
        var request = await BulkGetRequest.ReadAsync(context).ConfigureAwait(false);
        var values = await kv.GetManyAsync(request.Keys, options: null, context.RequestAborted).ConfigureAwait(false);
        var response = context.Response;
        if (request.IsJson)
        {
            await BulkGetRequest.CheckAllAreJsonAsync(values.Values, context.RequestAborted).ConfigureAwait(false);
        }

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
                await request.WriteValueAsync(json, value, context.RequestAborted).ConfigureAwait(false);
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
                await request.WriteValueAsync(json, value, context.RequestAborted).ConfigureAwait(false);
            }

            await Envelope.FlushIfLargeAsync(json, response).ConfigureAwait(false);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        await Envelope.EndAsync(json, response).ConfigureAwait(false);
    }

    // Entries as they arrive. What stood before a fault has been handed out by then, and the answer says how many.
    private async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(HttpContext context, Outcome outcome)
    {
        RequestBody.Bound(context, options.BulkBytesMax);
        using var reader = new BulkReader(context.Request.Body);
        while (await NextAsync(reader, context.RequestAborted).ConfigureAwait(false) is { } entry)
        {
            if (++outcome.Count > options.BulkEntriesMax)
            {
                throw Malformed($"More than {options.BulkEntriesMax} entries in one request; the first {options.BulkEntriesMax} were taken.");
            }

            yield return entry;
        }
    }

    private static async ValueTask<ReadOnlyMemory<byte>?> NextAsync(BulkReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (JsonException)
        {
            throw Malformed($"The body is not a JSON array: it breaks after {reader.Count} entries, which were taken.");
        }
    }

    private static async Task SettleAsync(List<(string Key, Task Task)> underWay, Outcome outcome)
    {
        foreach (var (key, task) in underWay)
        {
            try
            {
                await task.ConfigureAwait(false);
                outcome.Successful++;
            }
            catch (Exception e) when (e is KvException or ArgumentException)
            {
                outcome.Refuse(key, e.Message);
            }
        }

        underWay.Clear();
    }

    private static async Task<RefusedException> StoppedAsync(string reason, List<(string Key, Task Task)> underWay, Outcome outcome)
    {
        await SettleAsync(underWay, outcome).ConfigureAwait(false);
        return Malformed($"Entry {outcome.Count - 1} ends the request: {reason} {outcome.Successful} before it were taken.");
    }

    private static async Task WriteAsync(HttpResponse response, Outcome outcome)
    {
        var json = Envelope.Begin(response);
        json.WriteStartObject();
        json.WriteNumber("successful_key_count"u8, outcome.Successful);
        json.WriteStartArray("unsuccessful_keys"u8);
        foreach (var (key, _) in outcome.Refused)
        {
            json.WriteStringValue(key);
        }

        json.WriteEndArray();
        json.WriteStartArray("reasons"u8);
        foreach (var (_, reason) in outcome.Refused.Take(ReasonsMax))
        {
            json.WriteStringValue(reason);
        }

        json.WriteEndArray();
        json.WriteEndObject();
        await Envelope.EndAsync(json, response).ConfigureAwait(false);
    }

    // A name, or what a listing shows of one.
    private static string? KeyOf(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = BulkEntry.Open(json);
            var element = document.RootElement;
            var name = element.ValueKind == JsonValueKind.Object && element.TryGetProperty("name"u8, out var property) ? property : element;
            return name.ValueKind == JsonValueKind.String ? name.GetString() : null;
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException)
        {
            return null;
        }
    }

    private static RefusedException Malformed(string message) => new(Failure.Malformed(message));

    private Place Enter(HttpContext context)
    {
        if (Interlocked.Increment(ref _underWay) > options.BulkRequestsMax)
        {
            Interlocked.Decrement(ref _underWay);
            context.Response.OnStarting(() =>
            {
                context.Response.Headers.RetryAfter = "1";
                return Task.CompletedTask;
            });
            throw new RefusedException(new Failure(429, 10027, "Too many bulk requests at one time; try again."));
        }

        return new Place(this);
    }

    private sealed class Place(BulkResource resource) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref resource._underWay);
    }

    private sealed class Outcome
    {
        public int Count { get; set; }

        public int Successful { get; set; }

        public List<(string Key, string Reason)> Refused { get; } = [];

        public void Refuse(string key, string reason) => Refused.Add((key, reason));
    }
}
