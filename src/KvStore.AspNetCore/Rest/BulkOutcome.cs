using KvStore.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>
/// The writes of a bulk request that are under way, and what becomes of them: so many at once that one flush of the disk serves
/// them all. A write that came too soon (429) is worth repeating, and named in the answer; whatever else fails ends the request.
/// </summary>
internal sealed class BulkOutcome(string done)
{
    private const int UnderWayMax = 64;
    private const int ReasonsMax = 100;

    private readonly List<(long Index, string Key, Task Write)> _underWay = [];
    private readonly List<(string Key, string Reason)> _unsuccessful = [];
    private int _successful;

    /// <summary>Begins a write.</summary>
    public async ValueTask AddAsync(long index, string key, Func<Task> begin)
    {
        if (_underWay.Count == UnderWayMax)
        {
            await SettleAsync().ConfigureAwait(false);
        }

        // What it throws at once belongs to it as well.
        _underWay.Add((index, key, Begin(begin)));
    }

    /// <summary>Waits for all writes that were begun.</summary>
    /// <exception cref="RefusedException">One was refused, and would be again.</exception>
    public async ValueTask SettleAsync()
    {
        (long Index, Exception Exception)? first = null;
        foreach (var (index, key, write) in _underWay)
        {
            try
            {
                await write.ConfigureAwait(false);
                _successful++;
            }
            catch (KvException e) when (e.StatusCode == StatusCodes.Status429TooManyRequests)
            {
                _unsuccessful.Add((key, e.Reason));
            }
            catch (Exception e)
            {
                first ??= (index, e);
            }
        }

        _underWay.Clear();
        if (first is not { } failed)
        {
            return;
        }

        if (failed.Exception is KvException or ArgumentException && Failure.Of(failed.Exception, isNamespaceGone: false) is { } refusal)
        {
            throw new RefusedException(refusal with { Message = Invariant($"Entry {failed.Index} was refused: {refusal.Message} {_successful} entries were {done}.") });
        }

        System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failed.Exception);
    }

    /// <summary>Waits for what was begun, where its failures don't matter beside another one.</summary>
    public async ValueTask AbandonAsync()
    {
        foreach (var (_, _, write) in _underWay)
        {
            await write.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _underWay.Clear();
    }

    /// <summary>Answers, when all has been settled.</summary>
    public async Task WriteAsync(HttpResponse response)
    {
        var json = Envelope.Begin(response);
        json.WriteStartObject();
        json.WriteNumber("successful_key_count"u8, _successful);
        json.WriteStartArray("unsuccessful_keys"u8);
        foreach (var (key, _) in _unsuccessful)
        {
            json.WriteStringValue(key);
        }

        json.WriteEndArray();
        json.WriteStartArray("reasons"u8);
        foreach (var (_, reason) in _unsuccessful.Take(ReasonsMax))
        {
            json.WriteStringValue(reason);
        }

        json.WriteEndArray();
        json.WriteEndObject();
        await Envelope.EndAsync(json, response).ConfigureAwait(false);
    }

    private static async Task Begin(Func<Task> begin) => await begin().ConfigureAwait(false);
}
