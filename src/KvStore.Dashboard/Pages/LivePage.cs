using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using KvStore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>The operations of the last two minutes. The script draws them from the stream of samples.</summary>
internal static class LivePage
{
    public static Task ShowAsync(Visit visit)
    {
        var entry = Watched(visit);
        return PageWriter.WriteAsync(
            visit,
            entry is null ? "Live" : $"Live: {VisibleText.Plain(entry.Title)}",
            Html.Of($"""
                {PageLayout.Trail(entry is null ? [(visit.Links.Home, Html.Text("Namespaces"))] : [(visit.Links.Home, Html.Text("Namespaces")), (visit.Links.Keys(entry.Id), VisibleText.Of(entry.Title))])}
                <div class="head"><h1>Live</h1>
                <div class="actions"><button type="button" class="plain" id="live-pause" hidden>Pause</button></div></div>
                <form method="get" action="{visit.Links.Live()}" class="row filter">
                <div class="field"><label for="ns">Namespace</label>
                <select id="ns" name="ns"><option value="">All together</option>{visit.Dashboard.Catalog.Entries.Select(e => Option(e, e.Id == entry?.Id))}</select></div>
                <button class="plain">Show</button>
                </form>
                <noscript><p class="note">The charts are drawn by a script, which this browser does not run.</p></noscript>
                <div id="live" data-stream="{visit.Links.LiveStream(entry?.Id)}" hidden>
                <p class="sr" id="live-summary" aria-live="polite"></p>
                <p class="muted" id="live-state">Connecting…</p>
                <div class="charts">
                {Chart("reads", "Reads a second")}
                {Chart("writes", "Writes a second")}
                {Chart("hits", "Hit ratio")}
                {Chart("latency", "Read latency")}
                {(HasReplication(visit, entry) ? Chart("pending", "Mutations on their way") : default)}
                </div>
                <details><summary>The last samples as a table</summary>
                <div class="scroll" tabindex="0" role="region" aria-label="Samples">
                <table id="live-table"><caption class="sr">The last samples, the newest first</caption>
                <thead><tr><th scope="col">Time</th><th scope="col" class="num">Reads/s</th><th scope="col" class="num">Writes/s</th><th scope="col" class="num">Lists/s</th><th scope="col" class="num">Hits</th><th scope="col" class="num">p50</th><th scope="col" class="num">p90</th><th scope="col" class="num">p99</th><th scope="col" class="num">On their way</th></tr></thead>
                <tbody></tbody></table>
                </div></details>
                </div>

                """));
    }

    /// <summary>The namespace that the address names; null for all namespaces together.</summary>
    /// <exception cref="RefusedException">There is no such namespace (404).</exception>
    public static KvCatalogEntry? Watched(Visit visit) => visit.Query("ns") is { Length: > 0 } id
        ? visit.Dashboard.Catalog.Find(id) ?? throw new RefusedException(Failure.NamespaceNotFound)
        : null;

    private static bool HasReplication(Visit visit, KvCatalogEntry? entry) => entry is null
        ? visit.Dashboard.Catalog.Entries.Any(e => (e.Namespace as KvNamespace)?.Replication is not null)
        : (entry.Namespace as KvNamespace)?.Replication is not null;

    private static Html Option(KvCatalogEntry entry, bool isSelected) => isSelected
        ? Html.Of($"""<option value="{entry.Id}" selected>{VisibleText.Plain(entry.Title)}</option>""")
        : Html.Of($"""<option value="{entry.Id}">{VisibleText.Plain(entry.Title)}</option>""");

    private static Html Chart(string name, string title) => Html.Of($"""
        <figure class="chart card" data-chart="{name}">
        <figcaption><span class="chart-title">{title}</span> <span class="chart-value">–</span></figcaption>
        <svg viewBox="0 0 600 160" preserveAspectRatio="none" role="img" aria-label="{title}, the last two minutes"></svg>
        </figure>

        """);
}
