namespace KvStore;

/// <summary>
/// Who may use the endpoint of the Workers runtime. Without a secret, only who connects over loopback or a Unix socket and calls
/// the server <c>localhost</c>, by an address of the loopback, or <c>fake-host</c> as the runtime does. Read once, when it is mapped.
/// </summary>
/// <remarks>
/// Every program of the machine comes over loopback, and so does a proxy with whatever it forwards. Where there is a proxy, or
/// others use the machine, set a secret.
/// </remarks>
public sealed class KvBindingOptions
{
    private readonly List<KvToken> _secrets = [];
    private readonly List<string> _hosts = [];

    /// <summary>Whether everybody may come in.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>Those that let the runtime in.</summary>
    internal IReadOnlyList<KvToken> Secrets => _secrets;

    /// <summary>The names of hosts that were added.</summary>
    internal IReadOnlyList<string> Hosts => _hosts;

    /// <summary>Lets in whoever sends <c>Authorization: Bearer SECRET</c>, and from then on nobody without.</summary>
    /// <param name="secret">The shared secret.</param>
    /// <returns>These options.</returns>
    public KvBindingOptions AddSecret(KvToken secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        _secrets.Add(secret);
        return this;
    }

    /// <summary>
    /// Lets everybody read and write everything, for development, who calls the server by an address, as <c>localhost</c> or
    /// <c>fake-host</c>, or by one of <see cref="AllowHosts"/>. A warning is logged.
    /// </summary>
    /// <returns>These options.</returns>
    public KvBindingOptions AllowAnonymous()
    {
        IsAnonymous = true;
        return this;
    }

    /// <summary>
    /// Adds names by which the server may be called. With a secret, every name is allowed; without, those of the loopback are, and
    /// <c>fake-host</c>, which the runtime says. <c>*</c> allows any name, and with it pages that a
    /// browser has from elsewhere (DNS rebinding).
    /// </summary>
    /// <param name="names">Names of hosts, without scheme and port.</param>
    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">One is no name of a host.</exception>
    public KvBindingOptions AllowHosts(params string[] names)
    {
        HostNames.Add(_hosts, names);
        return this;
    }
}
