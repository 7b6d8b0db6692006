using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using KvStore.Http;
using KvStore.Rules;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Rest;

/// <summary><c>/{id}/changes</c>: the changes of keys as server-sent events, never values. The id of an event is the revision to go on after.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ChangesResource(KvApiOptions options)
{
    private const int FlushBytes = 16 * 1024;

    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ConcurrentDictionary<KvToken, StrongBox<int>> _streams = new();

    public async Task WatchAsync(HttpContext context, IKvNamespace kv, KvToken token)
    {
        if (kv is not IKvExtendedNamespace extended)
        {
            throw new RefusedException(new Failure(StatusCodes.Status501NotImplemented, Failure.InvalidRequestCode, "This namespace cannot be watched for changes."));
        }

        var watch = OptionsOf(context.Request);
        var count = _streams.GetOrAdd(token, static _ => new StrongBox<int>());
        try
        {
            if (Interlocked.Increment(ref count.Value) > options.ChangeStreamsMax)
            {
                throw new RefusedException(Failure.TooManyRequests(
                    Invariant($"This token watches {options.ChangeStreamsMax} streams of changes, which is the limit. End one, and try again.")));
            }

            await WriteAsync(context, extended, watch).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref count.Value);
        }
    }

    private static async Task WriteAsync(HttpContext context, IKvExtendedNamespace kv, KvWatchOptions watch)
    {
        var stopping = context.RequestServices.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
        var time = (kv as KvNamespace)?.TimeProvider ?? TimeProvider.System;
        var watched = kv.WatchAsync(watch, ending.Token);
        var beginning = watch is { Start: KvWatchStart.Now, AfterRevision: null }
            ? await RevisionNowAsync(kv, ending.Token).ConfigureAwait(false)
            : null;
        var changes = watched.GetAsyncEnumerator(CancellationToken.None);

        // Before the client sees the response, so that it misses nothing from then on.
        Task<bool> next = changes.MoveNextAsync().AsTask();
        try
        {
            var body = context.Response.BodyWriter;
            EventStream.Begin(context);
            if (beginning is { } revision)
            {
                WriteId(body, revision);
            }

            await body.WriteAsync(EventStream.Beginning, ending.Token).ConfigureAwait(false);
            var heartbeat = Task.Delay(EventStream.HeartbeatInterval, time, ending.Token);
            while (true)
            {
                while (!next.IsCompleted)
                {
                    await body.FlushAsync(ending.Token).ConfigureAwait(false);
                    if (await Task.WhenAny(next, heartbeat).ConfigureAwait(false) == heartbeat)
                    {
                        await heartbeat.ConfigureAwait(false);
                        heartbeat = Task.Delay(EventStream.HeartbeatInterval, time, ending.Token);
                        await body.WriteAsync(EventStream.Heartbeat, ending.Token).ConfigureAwait(false);
                    }
                }

                if (!await next.ConfigureAwait(false))
                {
                    // The namespace is closed.
                    await body.FlushAsync(ending.Token).ConfigureAwait(false);
                    return;
                }

                Write(body, changes.Current);
                if (!body.CanGetUnflushedBytes || body.UnflushedBytes >= FlushBytes)
                {
                    await body.FlushAsync(ending.Token).ConfigureAwait(false);
                }

                next = changes.MoveNextAsync().AsTask();
            }
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The client has gone, or the server stops: the client connects again and goes on after the last id.
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            try
            {
                await next.ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // Because of the line above.
            }

            await changes.DisposeAsync().ConfigureAwait(false);
        }
    }

    // The id of a stream that begins now. Without it, a client whose connection breaks before the first event would begin again later, and
    // miss what came between. The mark of a watch says it, whatever its key.
    private static async ValueTask<long?> RevisionNowAsync(IKvExtendedNamespace kv, CancellationToken cancellationToken)
    {
        var any = new KvWatchOptions { Key = "any", Start = KvWatchStart.Current };
        await foreach (var change in kv.WatchAsync(any, cancellationToken).ConfigureAwait(false))
        {
            change.Value.Dispose();
            if (change.Kind == KvChangeKind.Current)
            {
                return change.Revision;
            }
        }

        // The namespace is closed.
        return null;
    }

    private static void WriteId(PipeWriter body, long revision)
    {
        Span<byte> digits = stackalloc byte[20];
        revision.TryFormat(digits, out var length, provider: CultureInfo.InvariantCulture);
        body.Write("id: "u8);
        body.Write(digits[..length]);
        body.Write("\n"u8);
    }

    private static void Write(PipeWriter body, in KvChange change)
    {
        body.Write("event: "u8);
        body.Write(NameOf(change.Kind));
        body.Write("\n"u8);
        WriteId(body, change.Revision);
        body.Write("data: "u8);
        using (var json = new Utf8JsonWriter(body, s_json))
        {
            Write(json, change);
        }

        body.Write("\n\n"u8);
    }

    private static void Write(Utf8JsonWriter json, in KvChange change)
    {
        json.WriteStartObject();
        if (change.Kind is not (KvChangeKind.Current or KvChangeKind.Reset))
        {
            json.WriteString("key"u8, change.Key);
        }

        json.WriteNumber("revision"u8, change.Kind == KvChangeKind.Put ? change.Value.Revision : change.Revision);
        if (change.Value.Expiration is { } expiration)
        {
            json.WriteNumber("expiration"u8, expiration.ToUnixTimeSeconds());
        }

        if (!change.Value.Metadata.IsNull)
        {
            json.WritePropertyName("metadata"u8);
            JsonResponse.WriteMetadata(json, change.Value.Metadata);
        }

        json.WriteEndObject();
        change.Value.Dispose();
    }

    private static ReadOnlySpan<byte> NameOf(KvChangeKind kind) => kind switch
    {
        KvChangeKind.Put => "put"u8,
        KvChangeKind.Delete => "delete"u8,
        KvChangeKind.Expire => "expire"u8,
        KvChangeKind.Evict => "evict"u8,
        KvChangeKind.Current => "current"u8,
        _ => "reset"u8,
    };

    private static KvWatchOptions OptionsOf(HttpRequest request)
    {
        var query = request.Query;
        var start = Single(query, "start") switch
        {
            null or "" or "now" => KvWatchStart.Now,
            "current" => KvWatchStart.Current,
            var other => throw new RefusedException(Failure.Malformed($"Invalid start of {VisibleKey.Quote(other)}. It must be now or current.")),
        };
        var after = Revision("after", Single(query, "after"));
        if (after is not null && start == KvWatchStart.Current)
        {
            throw new RefusedException(Failure.Malformed("start=current and after exclude each other: a stream begins with what is there, or goes on after a revision."));
        }

        // A client that connects again sends the address of the first time, and the last id.
        if (Revision("Last-Event-ID", request.Headers["Last-Event-ID"]) is { } last)
        {
            (after, start) = (last, KvWatchStart.Now);
        }

        var (prefix, key) = (Single(query, "prefix"), Single(query, "key"));
        prefix = prefix?.Length == 0 ? null : prefix;
        if (prefix is not null && key is not null)
        {
            throw new RefusedException(Failure.Malformed("prefix and key exclude each other: a stream is of the keys with one prefix, or of one key."));
        }

        // Refused, because a variable that was not set must not watch every key.
        return key?.Length == 0
            ? throw new RefusedException(Failure.Malformed("key is empty. It must be the name of a key; leave it out to watch all keys."))
            : new KvWatchOptions { Prefix = prefix, Key = key, Start = start, AfterRevision = after };
    }

    private static string? Single(IQueryCollection query, string name)
    {
        var values = query[name];
        return values.Count <= 1
            ? values
            : throw new RefusedException(Failure.Malformed(Invariant($"{name} is given {values.Count} times. Please specify it once.")));
    }

    private static long? Revision(string name, string? text) => string.IsNullOrEmpty(text) ? null
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var revision) ? revision
        : throw new RefusedException(Failure.Malformed(
            Invariant($"Invalid {name} of {VisibleKey.Quote(text)}. It must be the id of an event, a whole number from 0 to {long.MaxValue}.")));
}
