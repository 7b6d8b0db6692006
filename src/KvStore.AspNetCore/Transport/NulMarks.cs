using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KvStore.Transport;

/// <summary>
/// Lets <c>%00</c> in the path of a request through a server that refuses it: it arrives as <c>%FF</c>. A key may hold NUL; 0xFF
/// is in no UTF-8, so nothing else is lost (a <c>%FF</c> that was sent arrives as <c>%FE</c>, which is not UTF-8 either).
/// </summary>
/// <remarks>
/// Only the server says where a request ends. So each endpoint of KvStore tells the connection, when it gets a request, how long
/// the server found its body to be; then the line that follows is known to be a request line. Where that is not certain, as
/// after a request that another endpoint has answered, all bytes pass as they are.
/// </remarks>
internal sealed class NulMarks(RequestLineReader reader)
{
    /// <summary>Whether a <c>%FF</c> in this text stands for NUL.</summary>
    public static bool AreSet(HttpContext context, ReadOnlySpan<char> encoded) =>
        encoded.Contains("%FF", StringComparison.Ordinal) && context.Features.Get<Marked>() is not null;

    /// <summary>Tells the connection that a request has come. Called before anything of its body is read.</summary>
    /// <param name="context">The request.</param>
    /// <param name="isChunked">Whether only the end of its body will say how long it is; then <see cref="End"/> is to be called.</param>
    public static void Begin(HttpContext context, bool isChunked)
    {
        if (context.Features.Get<NulMarks>() is not { } marks || !HttpProtocol.IsHttp11(context.Request.Protocol))
        {
            return;
        }

        if (marks.TakeMarkedTarget() is { } target && target == context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget)
        {
            context.Features.Set(Marked.Instance);
        }

        if (!isChunked && context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true })
        {
            marks.NextRequestFollows(context.Request.ContentLength ?? 0);
        }
    }

    /// <summary>Tells the connection that a request whose body came in chunks has been answered.</summary>
    /// <param name="context">The request.</param>
    /// <param name="isRead">Whether the body was read to its end.</param>
    public static void End(HttpContext context, bool isRead)
    {
        if (context.Features.Get<NulMarks>() is not { } marks)
        {
            return;
        }

        if (isRead)
        {
            marks.NextRequestFollows(0);
        }
        else
        {
            // What is left of the body has no known end. The next request comes over another connection.
            context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        }
    }

    private string? TakeMarkedTarget() => reader.TakeMarkedTarget();

    private void NextRequestFollows(long bodyBytes) => reader.NextLineFollows(bodyBytes);

    /// <summary>A request whose line was changed.</summary>
    private sealed class Marked
    {
        public static Marked Instance { get; } = new();
    }
}
