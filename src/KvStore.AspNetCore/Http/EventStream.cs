using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KvStore.Http;

/// <summary>A response of server-sent events.</summary>
internal static class EventStream
{
    /// <summary>A comment goes out after this time, so that nobody on the way takes the connection for dead.</summary>
    public static readonly TimeSpan HeartbeatInterval = TimeSpan.FromSeconds(15);

    /// <summary>A line that says nothing.</summary>
    public static ReadOnlyMemory<byte> Heartbeat { get; } = ": nothing new\n\n"u8.ToArray();

    /// <summary>The beginning: a client that is disconnected connects again after 3 seconds.</summary>
    public static ReadOnlyMemory<byte> Beginning { get; } = "retry: 3000\n\n"u8.ToArray();

    /// <summary>Sets the headers. No proxy and no server buffers what is written from now on.</summary>
    public static void Begin(HttpContext context)
    {
        var response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
    }
}
