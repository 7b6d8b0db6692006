using KvStore.Rules;
using Microsoft.AspNetCore.Authorization;

namespace KvStore;

/// <summary>Who may use the dashboard, where it lies, and how much of it at once. Read once, when it is mapped.</summary>
public sealed class KvDashboardOptions
{
    private readonly List<string> _policyNames = [];
    private readonly List<AuthorizationPolicy> _policies = [];
    private readonly List<string> _hosts = [];

    /// <summary>The path below which the dashboard lies. Default <c>/dashboard</c>.</summary>
    public string Prefix { get; set; } = "/dashboard";

    /// <summary>
    /// Where <c>Sign out</c> posts to, for example <c>/sign-out</c>; the request carries an anti-forgery token. Null for no such
    /// button. Default null.
    /// </summary>
    public string? SignOutPath { get; set; }

    /// <summary>The most bytes of a bulk file that is imported. Default 104,857,600 (100 MiB).</summary>
    public long ImportBytesMax { get; set; } = 100L * 1024 * 1024;

    /// <summary>The most imports and exports at one time; further ones get 429. Default 4.</summary>
    /// <remarks>Each may hold one entry of up to 25 MiB in memory, escaped and unescaped.</remarks>
    public int TransfersMax { get; set; } = 4;

    /// <summary>
    /// The most live pages that are open at one time. Default 32. A further one takes the place of the one that has been open for
    /// longest, which comes back by itself; within ten seconds of its beginning none gives up its place, and the further one gets 503
    /// and tries again.
    /// </summary>
    public int WatchersMax { get; set; } = 32;

    /// <summary>Whether everybody may come in.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>Whether only some names of hosts are allowed.</summary>
    internal bool HasHosts { get; private set; }

    /// <summary>The names of hosts that were added.</summary>
    internal IReadOnlyList<string> Hosts => _hosts;

    /// <summary>The names of the policies that who comes in must meet.</summary>
    internal IReadOnlyList<string> PolicyNames => _policyNames;

    /// <summary>The policies that who comes in must meet.</summary>
    internal IReadOnlyList<AuthorizationPolicy> Policies => _policies;

    /// <summary>Lets in who meets a policy that <c>AddAuthorization</c> registers. Several must all be met.</summary>
    /// <param name="name">The name of the policy.</param>
    /// <returns>These options.</returns>
    public KvDashboardOptions RequirePolicy(string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        _policyNames.Add(name);
        return this;
    }

    /// <summary>Lets in who meets a policy. Several must all be met.</summary>
    /// <param name="policy">The policy.</param>
    /// <returns>These options.</returns>
    public KvDashboardOptions RequirePolicy(AuthorizationPolicy policy)
    {
        ArgumentNullException.ThrowIfNull(policy);
        _policies.Add(policy);
        return this;
    }

    /// <summary>
    /// Lets everybody see and change everything, for development, who calls the server by an address, as <c>localhost</c> or by one
    /// of <see cref="AllowHosts"/>. A warning is logged.
    /// </summary>
    /// <returns>These options.</returns>
    public KvDashboardOptions AllowAnonymous()
    {
        IsAnonymous = true;
        return this;
    }

    /// <summary>
    /// Adds names by which the server may be called. From then on, and where everybody is let in, the others are addresses and
    /// <c>localhost</c>; until then a dashboard with a policy takes every name. <c>*</c> allows any name, and with it pages that a
    /// browser has from elsewhere (DNS rebinding).
    /// </summary>
    /// <param name="names">Names of hosts, without scheme and port.</param>
    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">One is no name of a host.</exception>
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
            throw new InvalidOperationException("The KV dashboard lets nobody in: require a policy, or call AllowAnonymous() for development.");
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
