using System.Security.Cryptography;

namespace EdgeSite;

/// <summary>Who is visiting: a random id in a cookie, and nothing else.</summary>
internal static class Session
{
    private const string CookieName = "session";
    private const int IdCharacters = 32;

    /// <summary>The visitor's id, if there is one that this site can have given.</summary>
    public static string? IdOf(HttpContext context) =>
        context.Request.Cookies[CookieName] is { Length: IdCharacters } id && id.All(char.IsAsciiHexDigitLower) ? id : null;

    /// <summary>The visitor's id, given now if there was none.</summary>
    public static string EnsureId(HttpContext context, TimeSpan lifetime)
    {
        var id = IdOf(context) ?? RandomNumberGenerator.GetHexString(IdCharacters, lowercase: true);
        context.Response.Cookies.Append(CookieName, id, new CookieOptions
        {
            HttpOnly = true,
            SameSite = SameSiteMode.Lax,
            MaxAge = lifetime,
            Secure = context.Request.IsHttps,
        });
        return id;
    }
}
