using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KvStore.Http;

/// <summary>
/// The path of a request as the client sent it. The path that the server offers is decoded once, its dots are resolved and
/// <c>%2F</c> is kept, so different keys can have the same path.
/// </summary>
internal static class RawTarget
{
    /// <summary>The percent-encoded path without path base and query; empty when the path is not below the path base.</summary>
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
