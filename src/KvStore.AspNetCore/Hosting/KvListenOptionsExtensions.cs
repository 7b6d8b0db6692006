using KvStore;
using KvStore.Transport;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>Prepares an address of Kestrel for any key.</summary>
public static class KvListenOptionsExtensions
{
    /// <summary>
    /// Allows NUL in keys. Without it, Kestrel answers 400 to every path with <c>%00</c>, before any endpoint sees the request. HTTP/1.1
    /// only; with TLS, call it after <c>UseHttps</c>.
    /// </summary>
    /// <remarks>
    /// It changes nothing but request lines, and only where a request is known to begin: at the beginning of a connection, and after a
    /// request whose endpoint reports its requests (<see cref="IKvRequestLineFeature"/>), as all endpoints of KvStore do. After a
    /// request to any other endpoint, a path with <c>%00</c> gets 400.
    /// </remarks>
    /// <param name="listen">The address.</param>
    /// <returns>The same address.</returns>
    public static ListenOptions AllowNulInKeys(this ListenOptions listen)
    {
        ArgumentNullException.ThrowIfNull(listen);
        listen.Use(next => async connection =>
        {
            var transport = connection.Transport;
            var reader = new RequestLineReader(transport.Input);
            connection.Transport = new MarkedTransport(reader, transport.Output);
            connection.Features.Set<IKvRequestLineFeature>(new NulMarks(reader));
            try
            {
                await next(connection).ConfigureAwait(false);
            }
            finally
            {
                connection.Transport = transport;
            }
        });
        return listen;
    }
}
