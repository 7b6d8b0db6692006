using System.Net;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Authentication;

/// <summary>
/// The names of hosts for which a server answers requests without a secret. A page in a browser can reach a server on the same
/// machine through a name that the page controls (DNS rebinding). That name then stands in the header <c>Host</c>.
/// </summary>
internal sealed class AllowedHosts
{
    private readonly HashSet<string> _names;
    private readonly bool _takesAddresses;

    /// <summary>Allows names, and <c>localhost</c> and the addresses of the loopback in any case.</summary>
    /// <param name="names">The configured names; <c>*</c> for any.</param>
    /// <param name="takesAddresses">
    /// Whether any IP address is allowed. DNS rebinding needs a name: a page that uses an address was loaded from that address.
    /// </param>
    public AllowedHosts(IEnumerable<string> names, bool takesAddresses)
    {
        _names = new HashSet<string>(names, StringComparer.OrdinalIgnoreCase);
        _takesAddresses = takesAddresses;
    }

    private static Failure Refusal { get; } = Failure.Forbidden with
    {
        Message = "The header Host names a host that is not allowed: use localhost or an address, or allow the name with AllowHosts.",
    };

    /// <summary>Refuses a request for another host.</summary>
    /// <exception cref="RefusedException">The request is for another host, or for none (403).</exception>
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
