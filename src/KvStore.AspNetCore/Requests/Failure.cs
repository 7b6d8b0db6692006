using Microsoft.AspNetCore.Http;

namespace KvStore.Requests;

/// <summary>Why a request is refused: a status, a code that clients know, and a text.</summary>
internal readonly record struct Failure(int Status, int Code, string Message)
{
    public const int InvalidRequestCode = 10022;
    public const int KeyNotFoundCode = 10009;
    public const int NamespaceNotFoundCode = 10013;
    public const int TooManyRequestsCode = 10027;

    public static Failure NamespaceNotFound { get; } = new(404, NamespaceNotFoundCode, "namespace not found");

    public static Failure Unauthenticated { get; } = new(401, 10000, "Authentication error");

    public static Failure Forbidden { get; } = new(403, 10026, "this token may not do that");

    public static Failure Malformed(string message) => new(400, InvalidRequestCode, message);

    /// <summary>What an exception means to the client; null for one that is not its fault and not foreseen.</summary>
    /// <param name="exception">What went wrong.</param>
    /// <param name="isNamespaceGone">Whether the namespace has left the catalog since it was found there, which explains what else would be a failure of the server.</param>
    public static Failure? Of(Exception exception, bool isNamespaceGone) => exception switch
    {
        RefusedException e => e.Failure,
        KvException e => new Failure(e.StatusCode, CodeOf(e.StatusCode), e.Reason),
        KvCatalogException { Error: KvCatalogError.NotFound } => NamespaceNotFound,
        KvCatalogException { Error: KvCatalogError.TitleTaken } e => new Failure(400, 10014, e.Message),
        KvCatalogException { Error: KvCatalogError.TitleInvalid } e => new Failure(400, 10019, e.Message),
        KvCatalogException { Error: KvCatalogError.Registered } e => new Failure(403, 10026, e.Message),
        BadHttpRequestException e => new Failure(e.StatusCode, InvalidRequestCode, e.Message),
        ArgumentException e => Malformed(WithoutParameter(e)),

        // Closed, and its files are removed, whatever was being done with them.
        ObjectDisposedException or KvPersistenceException or IOException or UnauthorizedAccessException when isNamespaceGone => NamespaceNotFound,

        // It belongs to code that has closed it, or the server is stopping.
        ObjectDisposedException => new Failure(503, 10001, "the namespace is closed"),

        // What is wrong with the disk is for the log of the server.
        KvPersistenceException => new Failure(503, 10001, "the namespace does not take writes at present"),
        _ => null,
    };

    private static int CodeOf(int status) => status switch
    {
        413 => 10025,
        414 => 10030,
        429 => TooManyRequestsCode,
        _ => InvalidRequestCode,
    };

    private static string WithoutParameter(ArgumentException e)
    {
        var suffix = e.ParamName is null ? -1 : e.Message.LastIndexOf(" (Parameter '", StringComparison.Ordinal);
        return suffix < 0 ? e.Message : e.Message[..suffix];
    }
}
