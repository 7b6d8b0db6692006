using KvStore.Authentication;
using KvStore.Rules;

namespace KvStore;

/// <summary>The authentication and the resource limits of the REST API. Read once, when the API is mapped.</summary>
public sealed class KvApiOptions
{
    private readonly List<KvToken> _tokens = [];
    private readonly List<string> _hosts = [];

    /// <summary>The prefix of all paths of the API: <c>{Prefix}/accounts/{account}/storage/kv/namespaces</c>. Default <c>/client/v4</c>.</summary>
    public string Prefix { get; set; } = "/client/v4";

    /// <summary>The longest body of a bulk request, in bytes. Default 104,857,600 (100 MiB).</summary>
    public long BulkBytesMax { get; set; } = 100L * 1024 * 1024;

    /// <summary>The most pairs or keys of a bulk request. Default 10,000.</summary>
    public int BulkEntriesMax { get; set; } = 10_000;

    /// <summary>The most concurrent bulk requests of one token. Further requests get 429, which clients retry. Default 64.</summary>
    public int BulkRequestsMax { get; set; } = 64;

    /// <summary>
    /// The most bytes in flight of the bulk requests of one token: the bytes of their bodies that have arrived, and the values in
    /// memory that a client has requested and not read. Further requests get 429. Default 268,435,456 (256 MiB).
    /// </summary>
    /// <remarks>
    /// Bodies are kept in temporary files. A request holds a few hundred KiB in memory, and one entry of at most 4 MiB. Texts of more
    /// than 256 KiB do not count: they are kept in files too.
    /// </remarks>
    public long BulkBytesInFlightMax { get; set; } = 256L * 1024 * 1024;

    /// <summary>
    /// The most streams of changes that one token watches at a time: <c>GET …/{id}/changes</c>. Further requests get 429. Default 256.
    /// </summary>
    public int ChangeStreamsMax { get; set; } = 256;

    /// <summary>Whether every request is answered.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>The tokens that are accepted.</summary>
    internal IReadOnlyList<KvToken> Tokens => _tokens;

    /// <summary>The names of hosts that were allowed.</summary>
    internal IReadOnlyList<string> Hosts => _hosts;

    /// <summary>Accepts a token.</summary>
    /// <param name="token">The token.</param>
    /// <returns>These options.</returns>
    public KvApiOptions AddToken(KvToken token)
    {
        ArgumentNullException.ThrowIfNull(token);
        _tokens.Add(token);
        return this;
    }

    /// <summary>
    /// Allows all operations without a token, for development. Only requests for an address, <c>localhost</c> or a name of
    /// <see cref="AllowHosts"/> are answered. A warning is logged.
    /// </summary>
    /// <returns>These options.</returns>
    public KvApiOptions AllowAnonymous()
    {
        IsAnonymous = true;
        return this;
    }

    /// <summary>
    /// Allows further names in the header <c>Host</c>. With tokens every name is allowed; without tokens, addresses and
    /// <c>localhost</c>. <c>*</c> allows every name, and with it requests of pages that a browser has loaded from elsewhere (DNS
    /// rebinding).
    /// </summary>
    /// <param name="names">Names of hosts, without scheme and port.</param>
    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">A name is not the name of a host.</exception>
    public KvApiOptions AllowHosts(params string[] names)
    {
        HostNames.Add(_hosts, names);
        return this;
    }

    /// <summary>Checks every option against its range.</summary>
    /// <exception cref="InvalidOperationException">No token is accepted and anonymous requests are not allowed, or the prefix is malformed.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    internal void Validate()
    {
        if (!IsAnonymous && _tokens.Count == 0)
        {
            throw new InvalidOperationException("The KV API accepts no request: add a token with AddToken, or call AllowAnonymous() for development.");
        }

        if (Prefix is null || (Prefix.Length > 0 && (Prefix[0] != '/' || Prefix[^1] == '/')))
        {
            throw new InvalidOperationException($"KvApiOptions.Prefix is \"{Prefix}\"; it must begin with a slash and not end with one.");
        }

        OutOfRange.ThrowIfLessThan(BulkBytesMax, 1);
        OutOfRange.ThrowIfLessThan(BulkEntriesMax, 1);
        OutOfRange.ThrowIfLessThan(BulkRequestsMax, 1);
        OutOfRange.ThrowIfLessThan(BulkBytesInFlightMax, 1024 * 1024);
        OutOfRange.ThrowIfLessThan(ChangeStreamsMax, 0);
    }
}
