using System.Diagnostics;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>
/// The pending writes of a bulk request and their results. Up to 64 writes are pending at once, so that they share one flush of the
/// disk. A write that came too soon (429) is named in the answer, so that the client retries it; any other failure ends the request.
/// </summary>
internal sealed class BulkOutcome(string done)
{
    private const int PendingMax = 64;
    private const int ReasonsMax = 100;

    private readonly List<(long Index, string Key, Task Write)> _pending = [];
    private readonly List<(string Key, string Reason)> _unsuccessful = [];
    private int _successful;

    /// <summary>Begins a write. Waits for the pending ones when there are too many.</summary>
    public async ValueTask AddAsync(long index, string key, Func<Task> begin)
    {
        if (_pending.Count == PendingMax)
        {
            await SettleAsync().ConfigureAwait(false);
        }

        // Within a task, so that an exception that the write throws at once becomes its result.
        _pending.Add((index, key, Begin(begin)));
    }

    /// <summary>Waits for all pending writes.</summary>
    /// <exception cref="RefusedException">A write was refused, and a retry would be refused too.</exception>
    public async ValueTask SettleAsync()
    {
        (long Index, Exception Exception)? first = null;
        foreach (var (index, key, write) in _pending)
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

        _pending.Clear();
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

    /// <summary>Waits for all pending writes and ignores their failures, after another failure has ended the request.</summary>
    public async ValueTask AbandonAsync()
    {
        foreach (var (_, _, write) in _pending)
        {
            await write.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _pending.Clear();
    }

    /// <summary>Writes the answer. No write is pending.</summary>
    public async Task WriteAsync(HttpResponse response)
    {
        Debug.Assert(_pending.Count == 0, "An answer counts writes that are complete.");
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
