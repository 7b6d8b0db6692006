using Microsoft.AspNetCore.Http;

namespace KvStore;

/// <summary>
/// The feature of a connection that <c>AllowNulInKeys</c> has prepared. It must know where each request line begins, so an endpoint
/// that answers requests of such a connection reports where its requests begin and end. After a request that no endpoint has
/// reported, the connection changes no further request line.
/// </summary>
/// <remarks>The endpoints of KvStore report their requests. For one request of a connection at a time.</remarks>
public interface IKvRequestLineFeature
{
    /// <summary>Reports that a request has come. Call it before anything of the body is read.</summary>
    /// <param name="context">The request.</param>
    /// <param name="isChunked">Whether the body comes in chunks, so that its length is known only at its end. Then call <see cref="EndRequest"/> too.</param>
    void BeginRequest(HttpContext context, bool isChunked);

    /// <summary>Reports that a request with a body in chunks has been answered.</summary>
    /// <param name="context">The request.</param>
    /// <param name="isBodyRead">Whether the body was read to its end. When it was not, the connection is closed.</param>
    void EndRequest(HttpContext context, bool isBodyRead);
}
