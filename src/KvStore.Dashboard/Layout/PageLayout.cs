using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;

namespace KvStore.Dashboard.Layout;

/// <summary>The parts of a page around its content.</summary>
internal static class PageLayout
{
    public static Html Document(Visit visit, string title, Html content)
    {
        var links = visit.Links;
        var assets = AssetFiles.Embedded;
        return Html.Of($"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>{title} – KvStore</title>
            <link rel="icon" href="{links.Asset(assets.Icon)}">
            <link rel="stylesheet" href="{links.Asset(assets.Style)}">
            <script src="{links.Asset(assets.Script)}"></script>
            </head>
            <body>
            <a class="skip" href="#content">Skip to the content</a>
            <header class="top">
            <a class="brand" href="{links.Home}"><img src="{links.Asset(assets.Icon)}" alt="" width="24" height="24"><span class="brand-name">KvStore</span></a>
            <nav aria-label="Main">
            {Link(visit, links.Home, "Namespaces", isExact: true)}
            {Link(visit, links.Live(), "Live", isExact: false)}
            </nav>
            <div class="top-end">
            <button type="button" class="quiet" id="theme" hidden>Theme: system</button>
            {SignOut(visit)}
            </div>
            </header>
            <main id="content" tabindex="-1">
            {content}
            </main>
            </body>
            </html>

            """);
    }

    /// <summary>The links to the pages above this one.</summary>
    public static Html Trail(params IEnumerable<(string Address, Html Name)> above) => Html.Of($"""
        <nav class="trail" aria-label="Breadcrumb"><ol>{above.Select(step => Html.Of($"""<li><a href="{step.Address}">{step.Name}</a></li>"""))}</ol></nav>

        """);

    /// <summary>The links to the pages above a page of a namespace.</summary>
    public static Html Trail(Visit visit) =>
        Trail((visit.Links.Home, Html.Text("Namespaces")), (visit.Links.Keys(visit.Id), VisibleText.Of(visit.Entry.Title)));

    /// <summary>A message that something was done.</summary>
    public static Html Done(string? message) => string.IsNullOrEmpty(message) ? default : Html.Of($"""<p class="note good" role="status">{message}</p>""");

    /// <summary>A message that something went wrong.</summary>
    public static Html Alert(string? message) => string.IsNullOrEmpty(message) ? default : Html.Of($"""<p class="note bad" role="alert">{message}</p>""");

    private static Html Link(Visit visit, string address, string text, bool isExact)
    {
        var path = visit.Http.Request.PathBase.Add(visit.Http.Request.Path).ToUriComponent().TrimEnd('/');
        var isHere = isExact ? path == address.TrimEnd('/') : path.StartsWith(address, StringComparison.Ordinal);
        return isHere ? Html.Of($"""<a href="{address}" aria-current="page">{text}</a>""") : Html.Of($"""<a href="{address}">{text}</a>""");
    }

    private static Html SignOut(Visit visit) => visit.Dashboard.Options.SignOutPath is { } path
        ? Html.Of($"""<form method="post" action="{visit.Http.Request.PathBase.Add(path).ToUriComponent()}">{visit.TokenField()}<button class="quiet">Sign out</button></form>""")
        : default;
}
