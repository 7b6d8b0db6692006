using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KvStore.Requests;

/// <summary>
/// The path of a request as it was sent. A server's own path is decoded once, has its dots resolved and keeps <c>%2F</c>, so
/// that keys cannot be told apart in it.
/// </summary>
internal static class RawTarget
{
    /// <summary>The path, percent-encoded, without path base and query; empty when it is not below the path base.</summary>
    public static ReadOnlySpan<char> PathOf(HttpContext context)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget.AsSpan();
        if (target.IsEmpty || target[0] != '/')
        {
            // The absolute form, which a proxy sends: http://host/path.
            var authority = target.IndexOf("://");
            var slash = authority < 0 ? -1 : target[(authority + 3)..].IndexOf('/');
            target = slash < 0 ? default : target[(authority + 3 + slash)..];
        }

        if (target.IndexOf('?') is var query && query >= 0)
        {
            target = target[..query];
        }

        if (context.Request.PathBase.HasValue)
        {
            var pathBase = context.Request.PathBase.ToUriComponent();
            target = target.StartsWith(pathBase, StringComparison.OrdinalIgnoreCase) ? target[pathBase.Length..] : default;
        }

        return target;
    }
}
