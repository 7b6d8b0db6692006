namespace KvStore;

/// <summary>
/// An operation was refused for a reason that the service reports with a status code. The message is the one that the
/// binding gives: <c>KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.</c>
/// </summary>
public sealed class KvException : Exception
{
    /// <summary>Makes the exception with the message <c>KV {operation} failed: {statusCode} {reason}</c>.</summary>
    /// <param name="statusCode">The HTTP status that the service gives.</param>
    /// <param name="operation">What was refused: <c>GET</c>, <c>GET_BULK</c>, <c>PUT</c>, <c>DELETE</c>, <c>LIST</c> or <c>WATCH</c>.</param>
    /// <param name="reason">What was wrong and what is allowed.</param>
    /// <param name="innerException">What caused it, if anything did.</param>
    public KvException(int statusCode, string operation, string reason, Exception? innerException = null)
        : base(Invariant($"KV {operation} failed: {statusCode} {reason}"), innerException)
    {
        StatusCode = statusCode;
        Operation = operation;
        Reason = reason;
    }

    /// <summary>The HTTP status that the service gives for this failure, for example 413.</summary>
    public int StatusCode { get; }

    /// <summary>The operation that was refused: <c>GET</c>, <c>GET_BULK</c>, <c>PUT</c>, <c>DELETE</c>, <c>LIST</c> or <c>WATCH</c>. Where the binding has a message for a list, it says <c>GET</c>.</summary>
    public string Operation { get; }

    /// <summary>The message without the operation and the status.</summary>
    public string Reason { get; }

    /// <summary>
    /// The argument that was refused: <c>key</c>, <c>keys</c>, <c>value</c>, <c>metadata</c>, <c>expiration</c>, <c>expirationTtl</c>,
    /// <c>cacheTtl</c>, <c>prefix</c>, <c>cursor</c> or <c>limit</c>. Null when no single argument was wrong, for example when writes
    /// come too fast (429) or the namespace is full (413).
    /// </summary>
    public string? ParamName { get; init; }
}
