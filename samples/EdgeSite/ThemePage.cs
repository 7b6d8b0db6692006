using Microsoft.AspNetCore.Mvc;

namespace EdgeSite;

/// <summary>A preference: <c>theme:&lt;session&gt;</c>, kept for 90 days, in which every page is rendered.</summary>
internal static class ThemePage
{
    private const string Default = "system";

    private static readonly string[] s_themes = ["system", "light", "dark"];
    private static readonly TimeSpan s_lifetime = TimeSpan.FromSeconds(ISessions.ThemeSeconds);

    /// <summary>The theme that the visitor has stored.</summary>
    public static async Task<string> ThemeOfAsync(HttpContext context)
    {
        var sessions = context.RequestServices.GetRequiredService<ISessions>();
        var stored = Session.IdOf(context) is { } id ? (await sessions.Theme(id).GetAsync(cancellationToken: context.RequestAborted)).Value : null;
        return s_themes.Contains(stored) ? stored! : Default;
    }

    /// <summary>Adds the page and its form.</summary>
    public static void MapThemePage(this IEndpointRouteBuilder app)
    {
        app.MapGet("/", async (HttpContext context) =>
        {
            var page = await Page.ForAsync(context);
            var choices = string.Concat(s_themes.Select(name =>
                $"""<label><input type="radio" name="theme" value="{name}"{(name == page.Theme ? " checked" : "")}> {char.ToUpperInvariant(name[0])}{name[1..]}</label>"""));
            return page.Render("Theme", $"""
                <form class="card" method="post" action="/theme">
                {page.TokenField()}
                <fieldset class="choices"><legend class="muted">How shall this site look?</legend>{choices}</fieldset>
                <button>Keep it so</button>
                </form>
                <p class="muted">Stored under your session's key with a time to live of 90 days, and read before every page is rendered.</p>
                """);
        });

        app.MapPost("/theme", async (HttpContext context, [FromForm] string? theme, ISessions sessions) =>
        {
            if (!s_themes.Contains(theme))
            {
                return await Page.RefuseAsync(
                    context, StatusCodes.Status400BadRequest, $"A theme must be one of {string.Join(", ", s_themes)}.");
            }

            var id = Session.EnsureId(context, s_lifetime);
            await sessions.Theme(id).PutAsync(theme!, context.RequestAborted);
            return Results.LocalRedirect("/");
        });
    }
}
