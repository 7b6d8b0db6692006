using System.Net;
using Microsoft.AspNetCore.Http;

namespace KvStore.Requests;

/// <summary>
/// The names by which a server answers that asks for no secret. A page of a browser reaches a server of the same machine by a
/// name of its own (DNS rebinding), and that name stands in <c>Host</c>.
/// </summary>
internal sealed class AllowedHosts
{
    private readonly HashSet<string> _names;
    private readonly bool _takesAddresses;

    /// <param name="names">The names that were configured; <c>*</c> for any.</param>
    /// <param name="takesAddresses">
    /// Whether any IP address will do, and not only one of the loopback. A page that has come by an address has come from there.
    /// </param>
    public AllowedHosts(IEnumerable<string> names, bool takesAddresses)
    {
        _names = new HashSet<string>(names, StringComparer.OrdinalIgnoreCase);
        _takesAddresses = takesAddresses;
    }

    private static Failure Refusal { get; } = Failure.Forbidden with
    {
        Message = "The Host of the request is no name of this machine that is allowed: use localhost or an address, or add the name (AllowHosts).",
    };

    /// <summary>Refuses a request for another host.</summary>
    /// <exception cref="RefusedException">It is for another host, or for none (403).</exception>
    public void Check(HttpRequest request)
    {
        if (!IsAllowed(request.Host.Host))
        {
            throw new RefusedException(Refusal);
        }
    }

    private bool IsAllowed(string? host)
    {
        if (_names.Contains(HostNames.Any))
        {
            return true;
        }

        if (string.IsNullOrEmpty(host))
        {
            return false;
        }

        host = host.EndsWith('.') ? host[..^1] : host;
        if (_names.Contains(host) || string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
            || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        return IPAddress.TryParse(host.AsSpan().Trim("[]"), out var address) && (_takesAddresses || IPAddress.IsLoopback(address));
    }
}
