namespace KvStore;

/// <summary>
/// An argument is one that the binding refuses with a <c>TypeError</c>: an empty key, the keys <c>.</c> and <c>..</c>, an expiration
/// that cannot be stored.
/// </summary>
/// <remarks>
/// <see cref="ArgumentException.ParamName"/> names the argument. It is <c>key</c>, <c>expiration</c>,
/// <c>expirationTtl</c> or <c>cacheTtl</c>: the same names as <see cref="KvException.ParamName"/>.
/// </remarks>
public sealed class KvArgumentException : ArgumentException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="reason">What was wrong and what is allowed.</param>
    /// <param name="paramName">The argument that was wrong.</param>
    public KvArgumentException(string reason, string paramName)
        : base(reason, paramName) => Reason = reason;

    /// <summary>The message without the name of the argument that .NET appends to <see cref="Exception.Message"/>.</summary>
    public string Reason { get; }
}
