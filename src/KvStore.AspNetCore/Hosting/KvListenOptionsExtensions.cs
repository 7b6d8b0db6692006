using KvStore.Transport;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>Prepares an address of Kestrel for keys.</summary>
public static class KvListenOptionsExtensions
{
    /// <summary>
    /// Lets keys hold NUL: Kestrel answers 400 to a path with <c>%00</c> in it before anybody else sees it. HTTP/1.1 only;
    /// over TLS, call it after <c>UseHttps</c>.
    /// </summary>
    /// <remarks>
    /// It changes a request line and nothing else, and only where a request is known to begin: at the beginning of a connection,
    /// and after a request that an endpoint of KvStore has answered. After one that another endpoint has answered, a path with
    /// <c>%00</c> is 400 as without this.
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
            connection.Features.Set(new NulMarks(reader));
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
