using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KvStore.Transport;

/// <summary>
/// Lets <c>%00</c> in the path of a request through a server that refuses it, as <c>%FF</c>. A key may hold NUL, and no UTF-8 holds
/// the byte 0xFF, so nothing else is lost: a <c>%FF</c> that a client sends arrives as <c>%FE</c>, which is not UTF-8 either.
/// </summary>
/// <remarks>
/// Only the server knows where a request ends. So each endpoint of KvStore reports how long the body of its request is; the line
/// after it is then known to be a request line. When the end is not known, for example after a request that another endpoint has
/// answered, all bytes pass unchanged.
/// </remarks>
internal sealed class NulMarks(RequestLineReader reader) : IKvRequestLineFeature
{
    /// <summary>Whether a <c>%FF</c> in this text stands for NUL.</summary>
    public static bool AreSet(HttpContext context, ReadOnlySpan<char> encoded) =>
        encoded.Contains("%FF", StringComparison.Ordinal) && context.Features.Get<Marked>() is not null;

    public void BeginRequest(HttpContext context, bool isChunked)
    {
        if (!HttpProtocol.IsHttp11(context.Request.Protocol))
        {
            return;
        }

        if (reader.TakeMarkedTarget() is { } target && target == context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget)
        {
            context.Features.Set(Marked.Instance);
        }

        if (!isChunked && context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true })
        {
            reader.NextLineFollows(context.Request.ContentLength ?? 0);
        }
    }

    public void EndRequest(HttpContext context, bool isBodyRead)
    {
        if (isBodyRead)
        {
            reader.NextLineFollows(0);
        }
        else
        {
            // The rest of the body has no known end, so the next request must come over another connection.
            context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        }
    }

    /// <summary>Marks a request whose line was changed.</summary>
    private sealed class Marked
    {
        public static Marked Instance { get; } = new();
    }
}
