using KvStore;
using Microsoft.AspNetCore.Mvc;

namespace EdgeSite;

/// <summary>A preference: <c>theme:&lt;session&gt;</c>, kept for 90 days, in which every page is rendered.</summary>
internal static class ThemePage
{
    private const string Default = "system";

    private static readonly string[] s_themes = ["system", "light", "dark"];
    private static readonly TimeSpan s_lifetime = TimeSpan.FromDays(90);

    /// <summary>The theme that the visitor has stored.</summary>
    public static async Task<string> ThemeOfAsync(HttpContext context)
    {
        var sessions = context.RequestServices.GetRequiredKeyedService<IKvNamespace>("SESSIONS_KV");
        var stored = Session.IdOf(context) is { } id ? await sessions.GetTextAsync($"theme:{id}", cancellationToken: context.RequestAborted) : null;
        return s_themes.Contains(stored) ? stored! : Default;
    }

    /// <summary>Adds the page and its form.</summary>
    public static void MapThemePage(this IEndpointRouteBuilder app)
    {
        app.MapGet("/", async (HttpContext context) =>
        {
            var theme = await ThemeOfAsync(context);
            var choices = string.Concat(s_themes.Select(name =>
                $"""<label><input type="radio" name="theme" value="{name}"{(name == theme ? " checked" : "")}> {char.ToUpperInvariant(name[0])}{name[1..]}</label>"""));
            var page = new Page(context, theme);
            return page.Render("Theme", $"""
                <form class="card" method="post" action="/theme">
                {page.TokenField()}
                <fieldset class="choices"><legend class="muted">How shall this site look?</legend>{choices}</fieldset>
                <button>Keep it so</button>
                </form>
                <p class="muted">Stored under your session's key with a time to live of 90 days, and read before every page is rendered.</p>
                """);
        });

        app.MapPost("/theme", async (
            HttpContext context, [FromForm] string? theme, [FromKeyedServices("SESSIONS_KV")] IKvNamespace sessions) =>
        {
            if (!s_themes.Contains(theme))
            {
                return await Page.RefuseAsync(
                    context, StatusCodes.Status400BadRequest, $"A theme must be one of {string.Join(", ", s_themes)}.");
            }

            var id = Session.EnsureId(context, s_lifetime);
            await sessions.PutAsync($"theme:{id}", theme!, new KvPutOptions { ExpirationTtl = s_lifetime }, context.RequestAborted);
            return Results.LocalRedirect("/");
        });
    }
}
