using System.Text.Json;
using KvStore.Dashboard.Live;
using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>The samples as server-sent events, one a second.</summary>
internal static class LiveStream
{
    // After that the browser connects again, and is authenticated again.
    private const int SamplesMax = 600;

    public static async Task WriteAsync(Visit visit)
    {
        var entry = LivePage.Watched(visit);
        using var watcher = visit.Dashboard.Feed.TryWatch()
            ?? throw new RefusedException(new Failure(StatusCodes.Status503ServiceUnavailable, 0, Invariant($"{visit.Dashboard.Options.WatchersMax} live pages are open, which is the limit.")));
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(visit.Aborted, visit.Dashboard.Stopping, watcher.Dropped);
        var response = visit.Http.Response;
        EventStream.Begin(visit.Http);
        try
        {
            await response.BodyWriter.WriteAsync(EventStream.Beginning, ending.Token).ConfigureAwait(false);
            for (var i = 0; i < SamplesMax; i++)
            {
                var frame = await watcher.Frames.ReadAsync(ending.Token).ConfigureAwait(false);
                await response.BodyWriter.WriteAsync(EventOf(visit, entry, frame), ending.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or System.Threading.Channels.ChannelClosedException)
        {
            if (watcher.Dropped.IsCancellationRequested)
            {
                // Otherwise the server would keep what it has written until the client reads it.
                visit.Http.Abort();
            }
        }
    }

    private static byte[] EventOf(Visit visit, KvCatalogEntry? entry, LiveFrame frame)
    {
        IReadOnlyList<KvCatalogEntry> entries = entry is null ? visit.Dashboard.Catalog.Entries : [entry];
        var sample = frame.Of(entries.Select(e => e.Namespace.Name));
        var replications = entries.Select(e => (e.Namespace as KvNamespace)?.Replication).OfType<KvReplication>().ToList();
        using var bytes = new MemoryStream();
        bytes.Write("data: "u8);
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteNumber("at"u8, frame.At.ToUnixTimeMilliseconds());
            json.WriteNumber("seconds"u8, frame.Span.TotalSeconds);
            json.WriteNumber("reads"u8, sample.Reads);
            json.WriteNumber("writes"u8, sample.Writes);
            json.WriteNumber("lists"u8, sample.Lists);
            json.WriteNumber("hits"u8, sample.Hits);
            json.WriteNumber("misses"u8, sample.Misses);
            WritePercentile(json, "p50", sample, 0.5);
            WritePercentile(json, "p90", sample, 0.9);
            WritePercentile(json, "p99", sample, 0.99);
            if (replications.Count > 0)
            {
                json.WriteNumber("pending"u8, replications.Sum(replication => replication.PendingCount));
            }

            json.WriteEndObject();
        }

        bytes.Write("\n\n"u8);
        return bytes.ToArray();
    }

    private static void WritePercentile(Utf8JsonWriter json, string name, LiveSample sample, double share)
    {
        if (LatencyHistogram.Percentile(sample.Latencies, share) is { } seconds)
        {
            json.WriteNumber(name, seconds);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
