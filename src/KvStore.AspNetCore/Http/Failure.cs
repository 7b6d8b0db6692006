using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>Why a request failed: an HTTP status, an error code of the Cloudflare API, and a message.</summary>
internal readonly record struct Failure(int Status, int Code, string Message)
{
    public const int InvalidRequestCode = 10022;
    public const int KeyNotFoundCode = 10009;
    public const int NamespaceNotFoundCode = 10013;
    public const int TooLargeCode = 10025;
    public const int ForbiddenCode = 10026;
    public const int TooManyRequestsCode = 10027;
    public const int PreconditionFailedCode = 10028;
    public const int KeyTooLongCode = 10030;
    public const int UnavailableCode = 10001;

    public static Failure NamespaceNotFound { get; } = new(404, NamespaceNotFoundCode, "namespace not found");

    public static Failure Unauthenticated { get; } = new(401, 10000, "Authentication error");

    public static Failure Forbidden { get; } = new(403, ForbiddenCode, "this token may not do that");

    public static Failure PreconditionFailed { get; } =
        new(412, PreconditionFailedCode, "the entry is not the one that If-Match or If-None-Match asks for; nothing was changed");

    public static Failure Malformed(string message) => new(400, InvalidRequestCode, message);

    public static Failure TooLarge(string message) => new(413, TooLargeCode, message);

    public static Failure TooManyRequests(string message) => new(429, TooManyRequestsCode, message);

    /// <summary>The failure that the client gets for an exception; null for an exception that is a fault of the server.</summary>
    /// <param name="exception">The exception.</param>
    /// <param name="isNamespaceGone">
    /// Whether the namespace has left the catalog since the request found it. That explains an exception that would otherwise be a
    /// fault of the server.
    /// </param>
    public static Failure? Of(Exception exception, bool isNamespaceGone) => exception switch
    {
        RefusedException e => e.Failure,

        // A large value goes with its namespace.
        KvException { StatusCode: 410 } when isNamespaceGone => NamespaceNotFound,
        KvException e => new Failure(e.StatusCode, CodeOf(e.StatusCode), e.Reason),
        KvCatalogException { Error: KvCatalogError.NotFound } => NamespaceNotFound,
        KvCatalogException { Error: KvCatalogError.TitleTaken } e => new Failure(400, 10014, e.Message),
        KvCatalogException { Error: KvCatalogError.TitleInvalid } e => new Failure(400, 10019, e.Message),
        KvCatalogException { Error: KvCatalogError.Registered } e => new Failure(403, ForbiddenCode, e.Message),
        BadHttpRequestException e => new Failure(e.StatusCode, InvalidRequestCode, e.Message),
        KvArgumentException e => Malformed(e.Reason),
        ArgumentException e => Malformed(e.Message),

        // The catalog closed the namespace and removed its files while the request used them.
        ObjectDisposedException or KvPersistenceException or IOException or UnauthorizedAccessException when isNamespaceGone => NamespaceNotFound,

        // Code closed the namespace, or the server is stopping.
        ObjectDisposedException => new Failure(503, UnavailableCode, "the namespace is closed"),

        // The log of the server says what is wrong with the disk.
        KvPersistenceException => new Failure(503, UnavailableCode, "the namespace does not take writes at present"),
        _ => null,
    };

    private static int CodeOf(int status) => status switch
    {
        413 => TooLargeCode,
        414 => KeyTooLongCode,
        429 => TooManyRequestsCode,
        507 => UnavailableCode,
        _ => InvalidRequestCode,
    };
}
