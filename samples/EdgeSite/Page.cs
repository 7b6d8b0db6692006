using System.Globalization;
using System.Text.Encodings.Web;
using KvStore;
using Microsoft.AspNetCore.Antiforgery;

namespace EdgeSite;

/// <summary>What every page has around its content: the theme of the visitor, the way to the other pages, the style.</summary>
internal sealed class Page(HttpContext context, string theme, long? views = null)
{
    private const string ViewsKey = "views";

    /// <summary>The theme of the page.</summary>
    public string Theme => theme;

    /// <summary>A page in the theme that the visitor has stored. It counts as viewed.</summary>
    public static async Task<Page> ForAsync(HttpContext context)
    {
        // Each increment counts, however many requests there are at once.
        var visits = context.RequestServices.GetRequiredKeyedService<IKvExtendedNamespace>("VISITS_KV");
        return new Page(
            context, await ThemePage.ThemeOfAsync(context), await visits.IncrementAsync(ViewsKey, cancellationToken: context.RequestAborted));
    }

    /// <summary>Text, made safe to stand in HTML.</summary>
    public static string Encode(string? text) => HtmlEncoder.Default.Encode(text ?? "");

    /// <summary>The hidden field without which no form is accepted.</summary>
    public string TokenField()
    {
        var tokens = context.RequestServices.GetRequiredService<IAntiforgery>().GetAndStoreTokens(context);
        return $"""<input type="hidden" name="{tokens.FormFieldName}" value="{Encode(tokens.RequestToken)}">""";
    }

    /// <summary>A page that says what was wrong and what is allowed. Nothing has changed.</summary>
    public static async Task<IResult> RefuseAsync(HttpContext context, int status, string why)
    {
        var page = new Page(context, await ThemePage.ThemeOfAsync(context));
        return page.Render("That did not work", $"""<p class="card" role="alert">{Encode(why)}</p>""", status);
    }

    /// <summary>The page as a response.</summary>
    public IResult Render(string title, string content, int status = StatusCodes.Status200OK)
    {
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'";
        return Results.Content(
            $$"""
            <!DOCTYPE html>
            <html lang="en" data-theme="{{theme}}">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{{Encode(title)}} – EdgeSite</title>
            <style>{{Style}}</style>
            </head>
            <body>
            <a class="skip" href="#content">Skip to the content</a>
            <header>
            <span class="brand">EdgeSite</span>
            <nav aria-label="Pages">{{Link("/", "Theme")}}{{Link("/message", "Pinned message")}}{{Link("/flags", "Feature flags")}}{{Link("/rates", "Cached rates")}}{{Link("/report", "Report")}}{{Link("/account", "Account")}}</nav>
            </header>
            <main id="content">
            <h1>{{Encode(title)}}</h1>
            {{content}}
            </main>
            <footer>Every page is rendered from a KV namespace in this process.{{(views is null ? "" : string.Create(CultureInfo.InvariantCulture, $" Pages viewed so far: {views:N0}."))}}</footer>
            </body>
            </html>
            """,
            "text/html; charset=utf-8",
            statusCode: status);
    }

    private string Link(string path, string text)
    {
        var isHere = context.Request.Path == path;
        return $"""<a href="{path}"{(isHere ? " aria-current=\"page\"" : "")}>{text}</a>""";
    }

    private const string Style = """
        :root { color-scheme: light; --ground: #f6f7f9; --card: #fff; --text: #1b1f24; --muted: #5b6472; --line: #dfe3e8; --accent: #1d5fd1; --on-accent: #fff; --good: #116932; --good-ground: #dcf3e3; --bad: #a3231b }
        [data-theme=dark] { color-scheme: dark; --ground: #12151a; --card: #1b2027; --text: #e8ebf0; --muted: #9aa5b4; --line: #2d353f; --accent: #7db0ff; --on-accent: #0c1524; --good: #86e0a3; --good-ground: #173822; --bad: #ff9d94 }
        @media (prefers-color-scheme: dark) { [data-theme=system] { color-scheme: dark; --ground: #12151a; --card: #1b2027; --text: #e8ebf0; --muted: #9aa5b4; --line: #2d353f; --accent: #7db0ff; --on-accent: #0c1524; --good: #86e0a3; --good-ground: #173822; --bad: #ff9d94 } }
        * { box-sizing: border-box }
        body { margin: 0; font: 16px/1.55 system-ui, sans-serif; background: var(--ground); color: var(--text) }
        header { display: flex; flex-wrap: wrap; gap: .5rem 2rem; align-items: center; padding: .9rem max(1rem, calc(50vw - 24rem)); background: var(--card); border-bottom: 1px solid var(--line) }
        .brand { font-weight: 700; letter-spacing: -.01em }
        nav { display: flex; flex-wrap: wrap; gap: .25rem }
        nav a { padding: .35rem .75rem; border-radius: 99px; color: var(--muted); text-decoration: none }
        nav a:hover { color: var(--text) }
        nav a[aria-current] { background: var(--accent); color: var(--on-accent) }
        main { max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
        h1 { font-size: 1.7rem; letter-spacing: -.02em; margin: 0 0 1rem }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.4rem; margin-bottom: 1.2rem }
        .muted { color: var(--muted) }
        blockquote { margin: 0 0 1rem; padding: .8rem 1.1rem; border-left: 4px solid var(--accent); font-size: 1.2rem; white-space: pre-wrap; overflow-wrap: anywhere }
        label { display: block; font-weight: 600; margin-bottom: .35rem }
        input[type=text], textarea { width: 100%; font: inherit; padding: .55rem .7rem; border: 1px solid var(--line); border-radius: 8px; background: var(--ground); color: inherit }
        button { font: inherit; font-weight: 600; padding: .5rem 1rem; border-radius: 8px; border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent); cursor: pointer }
        button.plain { background: transparent; color: var(--accent) }
        button.danger { background: transparent; border-color: var(--line); color: var(--bad) }
        :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
        .row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end }
        .row > .grow { flex: 1 1 14rem }
        .choices { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; border: 0; padding: 0; margin: 0 0 1rem }
        .choices label { display: flex; gap: .6rem; align-items: center; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 10px; cursor: pointer; margin: 0 }
        .choices label:has(:checked) { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent) }
        .scroll { overflow-x: auto }
        table { width: 100%; border-collapse: collapse }
        th, td { text-align: left; padding: .6rem .5rem; border-bottom: 1px solid var(--line); vertical-align: middle }
        th { font-size: .85rem; color: var(--muted) }
        td.text { min-width: 7rem; overflow-wrap: anywhere }
        td.date, td.buttons { white-space: nowrap }
        td form { display: inline }
        .state { display: inline-block; padding: .1rem .6rem; border-radius: 99px; font-size: .85rem; font-weight: 600; background: var(--line); color: var(--muted) }
        .state.on { background: var(--good-ground); color: var(--good) }
        code { font-size: .95em; overflow-wrap: anywhere }
        footer { max-width: 48rem; margin: 2rem auto; padding: 0 1rem; color: var(--muted); font-size: .9rem }
        .skip { position: absolute; left: -99rem } .skip:focus { left: 1rem; top: .5rem }
        """;
}
