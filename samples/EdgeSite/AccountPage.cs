using System.Globalization;
using System.Security.Claims;
using KvStore;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Mvc;

namespace EdgeSite;

/// <summary>
/// Who the visitor is. The sign-in, the session and the keys that protect their cookies are in namespaces, so a restart of the site signs
/// nobody out. A sample asks for no password.
/// </summary>
internal static class AccountPage
{
    private const int NameCharactersMax = 40;
    private const string VisitsKey = "visits";

    /// <summary>Adds the page and its forms.</summary>
    public static void MapAccountPage(this IEndpointRouteBuilder app)
    {
        app.MapGet("/account", async (HttpContext context) =>
        {
            var page = await Page.ForAsync(context);
            return page.Render("Account", NameOf(context) is { } name ? SignedIn(page, name, Count(context)) : SignedOut(page));
        });

        app.MapPost("/account/sign-in", async (HttpContext context, [FromForm] string? name) =>
        {
            name = (name ?? "").Trim();
            if (name.Length is 0 or > NameCharactersMax)
            {
                return await Page.RefuseAsync(context, StatusCodes.Status400BadRequest, $"A name must have 1 to {NameCharactersMax} characters.");
            }

            var user = new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, name)], CookieAuthenticationDefaults.AuthenticationScheme);
            await context.SignInAsync(new ClaimsPrincipal(user), new AuthenticationProperties { IsPersistent = true });
            return Results.LocalRedirect("/account");
        });

        app.MapPost("/account/sign-out", async (HttpContext context, [FromForm] bool? everywhere, KvTicketStore tickets) =>
        {
            if (everywhere == true && NameOf(context) is { } name)
            {
                await tickets.RemoveAllAsync(name, context.RequestAborted);
            }

            context.Session.Clear();
            await context.SignOutAsync();
            return Results.LocalRedirect("/account");
        });
    }

    private static string? NameOf(HttpContext context) => context.User.FindFirstValue(ClaimTypes.NameIdentifier);

    private static int Count(HttpContext context)
    {
        var visits = (context.Session.GetInt32(VisitsKey) ?? 0) + 1;
        context.Session.SetInt32(VisitsKey, visits);
        return visits;
    }

    private static string SignedIn(Page page, string name, int visits) => string.Create(CultureInfo.InvariantCulture, $"""
        <section class="card" aria-label="You">
        <p>Signed in as <strong>{Page.Encode(name)}</strong>.</p>
        <p class="muted">Views of this page in this session: {visits}.</p>
        <div class="row">{Form(page, everywhere: false, "plain", "Sign out")}{Form(page, everywhere: true, "danger", "Sign out everywhere")}</div>
        </section>
        <p class="muted">Stop the site and start it again: you are still signed in, and the session counts on.</p>
        """);

    private static string SignedOut(Page page) => $"""
        <form class="card row" method="post" action="/account/sign-in">
        {page.TokenField()}
        <div class="grow"><label for="name">Your name</label><input id="name" type="text" name="name" required maxlength="{NameCharactersMax}" autocomplete="username"></div>
        <button>Sign in</button>
        </form>
        """;

    private static string Form(Page page, bool everywhere, string style, string text) => $"""
        <form method="post" action="/account/sign-out">{page.TokenField()}<input type="hidden" name="everywhere" value="{(everywhere ? "true" : "false")}"><button class="{style}">{text}</button></form>
        """;
}
