using KvStore.Rules;

namespace KvStore;

/// <summary>Who may use the REST API, and how much of it at once. Read once, when it is mapped.</summary>
public sealed class KvApiOptions
{
    private readonly List<KvToken> _tokens = [];
    private readonly List<string> _hosts = [];

    /// <summary>The path below which the API lies: <c>{Prefix}/accounts/{account}/storage/kv/namespaces</c>. Default <c>/client/v4</c>.</summary>
    public string Prefix { get; set; } = "/client/v4";

    /// <summary>The most bytes of a bulk request. Default 104,857,600 (100 MiB).</summary>
    public long BulkBytesMax { get; set; } = 100L * 1024 * 1024;

    /// <summary>The most pairs or keys of a bulk request. Default 10,000.</summary>
    public int BulkEntriesMax { get; set; } = 10_000;

    /// <summary>The most bulk requests of one token at one time; further ones get 429, which clients repeat. Default 64.</summary>
    public int BulkRequestsMax { get; set; } = 64;

    /// <summary>
    /// The most bytes that the bulk requests of one token have in flight: what has arrived of their bodies, and the values from
    /// memory that a client has asked for and not read. Beyond it they get 429. Default 268,435,456 (256 MiB).
    /// </summary>
    /// <remarks>
    /// Bodies wait in temporary files. In memory a request holds a few hundred kilobytes, and an entry of at most 4 MiB, texts of
    /// more than 256 KiB not counted.
    /// </remarks>
    public long BulkBytesInFlightMax { get; set; } = 256L * 1024 * 1024;

    /// <summary>Whether everybody may come in.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>Those that let their bearers in.</summary>
    internal IReadOnlyList<KvToken> Tokens => _tokens;

    /// <summary>The names of hosts that were added.</summary>
    internal IReadOnlyList<string> Hosts => _hosts;

    /// <summary>Lets the bearers of a token in.</summary>
    /// <param name="token">The token.</param>
    /// <returns>These options.</returns>
    public KvApiOptions AddToken(KvToken token)
    {
        ArgumentNullException.ThrowIfNull(token);
        _tokens.Add(token);
        return this;
    }

    /// <summary>
    /// Lets everybody read and write everything, for development, who calls the server by an address, as <c>localhost</c> or by
    /// one of <see cref="AllowHosts"/>. A warning is logged.
    /// </summary>
    /// <returns>These options.</returns>
    public KvApiOptions AllowAnonymous()
    {
        IsAnonymous = true;
        return this;
    }

    /// <summary>
    /// Adds names by which the server may be called. Where tokens are asked for, every name is allowed; without, addresses and
    /// <c>localhost</c> are. <c>*</c> allows any name, and with it pages that a
    /// browser has from elsewhere (DNS rebinding).
    /// </summary>
    /// <param name="names">Names of hosts, without scheme and port.</param>
    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">One is no name of a host.</exception>
    public KvApiOptions AllowHosts(params string[] names)
    {
        HostNames.Add(_hosts, names);
        return this;
    }

    /// <summary>Checks every option against its range.</summary>
    internal void Validate()
    {
        if (!IsAnonymous && _tokens.Count == 0)
        {
            throw new InvalidOperationException("The KV API lets nobody in: add a token, or call AllowAnonymous() for development.");
        }

        if (Prefix is null || (Prefix.Length > 0 && (Prefix[0] != '/' || Prefix[^1] == '/')))
        {
            throw new InvalidOperationException($"KvApiOptions.Prefix is \"{Prefix}\"; it must begin with a slash and not end with one.");
        }

        OutOfRange.ThrowIfLessThan(BulkBytesMax, 1);
        OutOfRange.ThrowIfLessThan(BulkEntriesMax, 1);
        OutOfRange.ThrowIfLessThan(BulkRequestsMax, 1);
        OutOfRange.ThrowIfLessThan(BulkBytesInFlightMax, 1024 * 1024);
    }
}
