using KvStore.Authentication;

namespace KvStore;

/// <summary>
/// The authentication of the endpoint of the Workers runtime. Without a secret, only requests over loopback or a Unix socket are
/// answered, and only for the hosts <c>localhost</c>, an address of the loopback, or <c>fake-host</c>, which the runtime sends. The
/// options are read once, when the endpoint is mapped.
/// </summary>
/// <remarks>
/// Every program of the machine can connect over loopback, and so can a proxy with the requests that it forwards. Set a secret when
/// there is a proxy, or when others use the machine.
/// </remarks>
public sealed class KvBindingOptions
{
    private readonly List<KvToken> _secrets = [];
    private readonly List<string> _hosts = [];

    /// <summary>Whether every request is answered.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>The secrets that are accepted.</summary>
    internal IReadOnlyList<KvToken> Secrets => _secrets;

    /// <summary>The names of hosts that were allowed.</summary>
    internal IReadOnlyList<string> Hosts => _hosts;

    /// <summary>Accepts requests with the header <c>Authorization: Bearer SECRET</c>, and refuses all requests without a secret.</summary>
    /// <param name="secret">The shared secret.</param>
    /// <returns>These options.</returns>
    public KvBindingOptions AddSecret(KvToken secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        _secrets.Add(secret);
        return this;
    }

    /// <summary>
    /// Allows all operations without a secret, for development. Only requests for an address, <c>localhost</c>, <c>fake-host</c> or a
    /// name of <see cref="AllowHosts"/> are answered. A warning is logged.
    /// </summary>
    /// <returns>These options.</returns>
    public KvBindingOptions AllowAnonymous()
    {
        IsAnonymous = true;
        return this;
    }

    /// <summary>
    /// Allows further names in the header <c>Host</c>. With a secret every name is allowed; without one, the names of the loopback and
    /// <c>fake-host</c>, which the runtime sends. <c>*</c> allows every name, and with it requests of pages that a browser has loaded
    /// from elsewhere (DNS rebinding).
    /// </summary>
    /// <param name="names">Names of hosts, without scheme and port.</param>
    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">A name is not the name of a host.</exception>
    public KvBindingOptions AllowHosts(params string[] names)
    {
        HostNames.Add(_hosts, names);
        return this;
    }
}
