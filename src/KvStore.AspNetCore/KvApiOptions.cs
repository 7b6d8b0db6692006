namespace KvStore;

/// <summary>Who may use the REST API, and how much of it at once. Read once, when it is mapped.</summary>
public sealed class KvApiOptions
{
    private readonly List<KvToken> _tokens = [];

    /// <summary>The path below which the API lies: <c>{Prefix}/accounts/{account}/storage/kv/namespaces</c>. Default <c>/client/v4</c>.</summary>
    public string Prefix { get; set; } = "/client/v4";

    /// <summary>The most bytes of a bulk request. Default 104,857,600 (100 MiB).</summary>
    public long BulkBytesMax { get; set; } = 100L * 1024 * 1024;

    /// <summary>The most pairs or keys of a bulk request. Default 10,000.</summary>
    public int BulkEntriesMax { get; set; } = 10_000;

    /// <summary>The most bulk requests at one time; further ones get 429, which clients repeat. Default 8.</summary>
    /// <remarks>Each may hold one entry in memory, which is at most as long as the request (<see cref="BulkBytesMax"/>), escaped and unescaped.</remarks>
    public int BulkRequestsMax { get; set; } = 8;

    /// <summary>Whether everybody may come in.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>Those that let their bearers in.</summary>
    internal IReadOnlyList<KvToken> Tokens => _tokens;

    /// <summary>Lets the bearers of a token in.</summary>
    /// <param name="token">The token.</param>
    /// <returns>These options.</returns>
    public KvApiOptions AddToken(KvToken token)
    {
        ArgumentNullException.ThrowIfNull(token);
        _tokens.Add(token);
        return this;
    }

    /// <summary>Lets everybody read and write everything, for development. A warning is logged.</summary>
    /// <returns>These options.</returns>
    public KvApiOptions AllowAnonymous()
    {
        IsAnonymous = true;
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
    }
}
