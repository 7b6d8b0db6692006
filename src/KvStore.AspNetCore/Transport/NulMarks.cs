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
    /// <returns>Whether the end of the body is not known yet, so that <see cref="End"/> is to be called.</returns>
    public static bool Begin(HttpContext context)
    {
        if (context.Features.Get<NulMarks>() is not { } marks || !HttpProtocol.IsHttp11(context.Request.Protocol))
        {
            return false;
        }

        var feature = context.Features.GetRequiredFeature<IHttpRequestFeature>();
        if (marks.TakeMarkedTarget() is { } target && target == feature.RawTarget)
        {
            context.Features.Set(Marked.Instance);
        }

        if (context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true })
        {
            return false;
        }

        if (feature.Headers.ContainsKey("Transfer-Encoding"))
        {
            return true;
        }

        marks.NextRequestFollows(context.Request.ContentLength ?? 0);
        return false;
    }

    /// <summary>Tells the connection that a request whose length was not known has been answered.</summary>
    public static void End(HttpContext context)
    {
        if (context.Features.Get<NulMarks>() is not { } marks)
        {
            return;
        }

        if (IsRead(context))
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

    // The server has read the body to its last byte when it says that no more comes.
    private static bool IsRead(HttpContext context)
    {
        try
        {
            var body = context.Request.BodyReader;
            if (!body.TryRead(out var read))
            {
                return false;
            }

            var isEnd = read.IsCompleted && read.Buffer.IsEmpty;
            body.AdvanceTo(read.Buffer.Start);
            return isEnd;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>A request whose line was changed.</summary>
    private sealed class Marked
    {
        public static Marked Instance { get; } = new();
    }
}
