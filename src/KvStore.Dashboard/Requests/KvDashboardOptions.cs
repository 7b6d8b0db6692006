using KvStore.Authentication;
using KvStore.Rules;
using Microsoft.AspNetCore.Authorization;

namespace KvStore;

/// <summary>The authorization, the path and the resource limits of the dashboard. Read once, when it is mapped.</summary>
public sealed class KvDashboardOptions
{
    private readonly List<string> _policyNames = [];
    private readonly List<AuthorizationPolicy> _policies = [];
    private readonly List<string> _hosts = [];

    /// <summary>The prefix of all paths of the dashboard. Default <c>/dashboard</c>.</summary>
    public string Prefix { get; set; } = "/dashboard";

    /// <summary>
    /// The path to which the button <c>Sign out</c> posts, for example <c>/sign-out</c>, with an anti-forgery token. Null for no button.
    /// Default null.
    /// </summary>
    public string? SignOutPath { get; set; }

    /// <summary>The longest bulk file that can be imported, in bytes. Default 104,857,600 (100 MiB).</summary>
    public long ImportBytesMax { get; set; } = 100L * 1024 * 1024;

    /// <summary>The most concurrent imports and exports. Further requests get 429. Default 4.</summary>
    /// <remarks>An export may hold one entry of up to 25 MiB in memory, escaped and unescaped.</remarks>
    public int TransfersMax { get; set; } = 4;

    /// <summary>
    /// The most live pages that are open at one time. Default 32. A further page takes the slot of the page that has been open for
    /// longest, which connects again by itself. A page keeps its slot for at least ten seconds; when all are younger, the further page
    /// gets 503 and tries again. As many pages of keys follow changes at one time; further ones show the keys as they were.
    /// </summary>
    public int WatchersMax { get; set; } = 32;

    /// <summary>Whether every request is answered.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>Whether only some names of hosts are allowed.</summary>
    internal bool HasHosts { get; private set; }

    /// <summary>The names of hosts that were allowed.</summary>
    internal IReadOnlyList<string> Hosts => _hosts;

    /// <summary>The names of the required policies.</summary>
    internal IReadOnlyList<string> PolicyNames => _policyNames;

    /// <summary>The required policies.</summary>
    internal IReadOnlyList<AuthorizationPolicy> Policies => _policies;

    /// <summary>Requires a policy that <c>AddAuthorization</c> registers. A user must meet all required policies.</summary>
    /// <param name="name">The name of the policy.</param>
    /// <returns>These options.</returns>
    public KvDashboardOptions RequirePolicy(string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        _policyNames.Add(name);
        return this;
    }

    /// <summary>Requires a policy. A user must meet all required policies.</summary>
    /// <param name="policy">The policy.</param>
    /// <returns>These options.</returns>
    public KvDashboardOptions RequirePolicy(AuthorizationPolicy policy)
    {
        ArgumentNullException.ThrowIfNull(policy);
        _policies.Add(policy);
        return this;
    }

    /// <summary>
    /// Allows everything without authentication, for development. Only requests for an address, <c>localhost</c> or a name of
    /// <see cref="AllowHosts"/> are answered. A warning is logged.
    /// </summary>
    /// <returns>These options.</returns>
    public KvDashboardOptions AllowAnonymous()
    {
        IsAnonymous = true;
        return this;
    }

    /// <summary>
    /// Allows names in the header <c>Host</c>. After that, and with <see cref="AllowAnonymous"/>, other names than addresses and
    /// <c>localhost</c> are refused; before that a dashboard with a policy allows every name. <c>*</c> allows every name, and with it
    /// requests of pages that a browser has loaded from elsewhere (DNS rebinding).
    /// </summary>
    /// <param name="names">Names of hosts, without scheme and port.</param>
    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">A name is not the name of a host.</exception>
    public KvDashboardOptions AllowHosts(params string[] names)
    {
        HostNames.Add(_hosts, names);
        HasHosts = true;
        return this;
    }

    /// <summary>Checks every option against its range.</summary>
    internal void Validate()
    {
        var hasPolicy = _policyNames.Count + _policies.Count > 0;
        if (!IsAnonymous && !hasPolicy)
        {
            throw new InvalidOperationException("The KV dashboard accepts no request: require a policy with RequirePolicy, or call AllowAnonymous() for development.");
        }

        if (IsAnonymous && hasPolicy)
        {
            throw new InvalidOperationException("The KV dashboard has a policy and AllowAnonymous(), which would make the policy void: choose one.");
        }

        if (Prefix is null || (Prefix.Length > 0 && (Prefix[0] != '/' || Prefix[^1] == '/')))
        {
            throw new InvalidOperationException($"KvDashboardOptions.Prefix is \"{Prefix}\"; it must begin with a slash and not end with one.");
        }

        if (SignOutPath is not null && !SignOutPath.StartsWith('/'))
        {
            throw new InvalidOperationException($"KvDashboardOptions.SignOutPath is \"{SignOutPath}\"; it must begin with a slash.");
        }

        OutOfRange.ThrowIfLessThan(ImportBytesMax, 1);
        OutOfRange.ThrowIfLessThan(TransfersMax, 1);
        OutOfRange.ThrowIfLessThan(WatchersMax, 1);
    }
}
