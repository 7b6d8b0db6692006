namespace KvStore;

/// <summary>
/// Who may use the endpoint of the Workers runtime. Without a secret, only who connects over loopback or a Unix socket.
/// Read once, when it is mapped.
/// </summary>
public sealed class KvBindingOptions
{
    private readonly List<KvToken> _secrets = [];

    /// <summary>Whether everybody may come in.</summary>
    internal bool IsAnonymous { get; private set; }

    /// <summary>Those that let the runtime in.</summary>
    internal IReadOnlyList<KvToken> Secrets => _secrets;

    /// <summary>Lets in whoever sends <c>Authorization: Bearer SECRET</c>, and from then on nobody without.</summary>
    /// <param name="secret">The shared secret.</param>
    /// <returns>These options.</returns>
    public KvBindingOptions AddSecret(KvToken secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        _secrets.Add(secret);
        return this;
    }

    /// <summary>Lets everybody who can connect read and write everything, for development. A warning is logged.</summary>
    /// <returns>These options.</returns>
    public KvBindingOptions AllowAnonymous()
    {
        IsAnonymous = true;
        return this;
    }
}
