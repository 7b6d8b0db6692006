using System.Globalization;
using System.Security.Claims;
using KvStore;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http.Features;

namespace KvServer;

/// <summary>
/// Authenticates the owner for the dashboard: a page asks for the server's token, and a cookie keeps the session. The cookie has the
/// id of the session, which signing out ends, and the hash of the token, so that a new token ends all sessions.
/// </summary>
internal static class SignIn
{
    /// <summary>The policy of the dashboard.</summary>
    public const string Policy = "dashboard";

    /// <summary>The path to sign out.</summary>
    public const string SignOutPath = "/sign-out";

    private const string Path = "/sign-in";
    private const string TokenClaim = "token";
    private const string SessionClaim = "session";
    private const long FormBytesMax = 16 * 1024;

    /// <summary>Registers the cookie, the policy and the keys that protect the cookie. Keys and sessions are in the data directory and
    /// survive a restart.</summary>
    public static void AddSignIn(this IServiceCollection services, ServerSettings settings)
    {
        services.AddDataProtection().SetApplicationName("KvServer").PersistKeysToFileSystem(new DirectoryInfo(KeysIn(settings)));
        services.AddAntiforgery();
        services.AddSingleton<FailedSignIns>();
        services.AddSingleton(_ => new Sessions(System.IO.Path.Combine(settings.Data, "sessions"), TimeProvider.System));
        services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(cookie =>
        {
            cookie.Cookie.Name = "kvserver";
            cookie.Cookie.HttpOnly = true;
            cookie.Cookie.SameSite = SameSiteMode.Strict;
            cookie.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
            cookie.ExpireTimeSpan = Sessions.Life;
            cookie.SlidingExpiration = false;
            cookie.LoginPath = Path;
            cookie.AccessDeniedPath = Path;

            // The address after signing in is checked here, and encoded for a header.
            cookie.Events.OnRedirectToReturnUrl = _ => Task.CompletedTask;
            cookie.Events.OnValidatePrincipal = context =>
            {
                if (!context.HttpContext.RequestServices.GetRequiredService<Sessions>().IsOpen(context.Principal?.FindFirstValue(SessionClaim)))
                {
                    context.RejectPrincipal();
                }

                return Task.CompletedTask;
            };
        });
        services.AddAuthorizationBuilder().AddPolicy(Policy, policy => policy.RequireClaim(TokenClaim, settings.Token.Token.ToHash()));
    }

    /// <summary>Maps the sign-in page, and signing out.</summary>
    /// <remarks>The data directory is open by then, and belongs to the server.</remarks>
    public static void MapSignIn(this WebApplication app, ServerSettings settings)
    {
        var keys = Directory.CreateDirectory(KeysIn(settings));
        if (!OperatingSystem.IsWindows())
        {
            // A user who can read them can sign in.
            keys.UnixFileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        }

        _ = app.Services.GetRequiredService<Sessions>();
        var token = settings.Token.Token;
        app.MapGet(Path, (HttpContext context, IAntiforgery antiforgery) => SignInPage.Render(context, antiforgery, error: null)).Check(settings.Hosts);
        app.MapGet(SignInPage.StylePath, SignInPage.Style);
        app.MapPost(Path, async (HttpContext context, IAntiforgery antiforgery, FailedSignIns failures, Sessions sessions) =>
        {
            if (!await IsValidAsync(context, antiforgery))
            {
                return SignInPage.Render(context, antiforgery, "This page has been open for too long. Try again.");
            }

            // Checked before the token, so that a client that must wait does not learn whether the token was right.
            var address = context.Connection.RemoteIpAddress;
            if (failures.MustWait(address, out var wait))
            {
                return TooMany(context, antiforgery, wait);
            }

            if (!token.Matches(context.Request.Form["token"].ToString().Trim()))
            {
                return failures.TryCount(address, out wait)
                    ? SignInPage.Render(context, antiforgery, "This is not the token of this server.")
                    : TooMany(context, antiforgery, wait);
            }

            var identity = new ClaimsIdentity(
                [new Claim(ClaimTypes.Name, "owner"), new Claim(TokenClaim, token.ToHash()), new Claim(SessionClaim, sessions.Begin())],
                CookieAuthenticationDefaults.AuthenticationScheme);
            await context.SignInAsync(new ClaimsPrincipal(identity));
            return SeeOther(context, LocalOr(context.Request.Query["ReturnUrl"], "/dashboard"));
        }).Check(settings.Hosts);
        app.MapPost(SignOutPath, async (HttpContext context, IAntiforgery antiforgery, Sessions sessions) =>
        {
            if (!await IsValidAsync(context, antiforgery))
            {
                return Results.BadRequest();
            }

            sessions.End(context.User.FindFirstValue(SessionClaim));
            await context.SignOutAsync();
            return SeeOther(context, Path);
        }).Check(settings.Hosts);
    }

    /// <summary>The address, when it is on this server; otherwise the given one. A link must not lead to another server after signing
    /// in.</summary>
    public static string LocalOr(string? address, string otherwise) =>
        address is ['/', ..] and not ['/', '/' or '\\', ..] && !address.Any(char.IsControl) ? address : otherwise;

    private static async Task<bool> IsValidAsync(HttpContext context, IAntiforgery antiforgery)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = FormBytesMax;
        }

        try
        {
            return context.Request.HasFormContentType && await antiforgery.IsRequestValidAsync(context);
        }
        catch (Exception e) when (e is AntiforgeryValidationException or InvalidDataException or (IOException and not BadHttpRequestException))
        {
            // The body is no form, although its content type says so.
            return false;
        }
    }

    private static IResult TooMany(HttpContext context, IAntiforgery antiforgery, TimeSpan wait)
    {
        context.Response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        var minutes = (int)Math.Ceiling(wait.TotalMinutes);
        return SignInPage.Render(
            context,
            antiforgery,
            $"Too many wrong tokens came from your address. Try again in {(minutes == 1 ? "a minute" : $"{minutes} minutes")}.",
            StatusCodes.Status429TooManyRequests);
    }

    // After a POST the browser gets the next page with GET.
    private static IResult SeeOther(HttpContext context, string address)
    {
        context.Response.Headers.Location = Ascii(address);
        return Results.StatusCode(StatusCodes.Status303SeeOther);
    }

    // A header has ASCII only. In an address other characters are percent-encoded.
    private static string Ascii(string address) =>
        string.Concat(address.EnumerateRunes().Select(rune => rune is { IsAscii: true, Value: > ' ' } ? rune.ToString() : Uri.EscapeDataString(rune.ToString())));

    private static string KeysIn(ServerSettings settings) => System.IO.Path.Combine(settings.Data, "keys");
}
