using KvStore.Dashboard.Entries;
using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;

namespace KvStore.Dashboard.Pages;

/// <summary>A key as each region sees it, and the pending writes between the regions. No region caches what is read here.</summary>
internal static class RegionsView
{
    private const int PreviewBytesMax = 120;

    /// <summary>The pending writes of a namespace.</summary>
    public static Html Facts(KvReplication replication) => Html.Of($"""
        <div><dt>On their way</dt><dd>{Format.Count(replication.PendingCount, "mutation", "mutations")}{(replication.IsPaused ? Html.Of($""" <span class="state warn">paused</span>""") : default)}</dd></div>
        {replication.Regions.Select(region => Html.Of($"""
            <div><dt>{region}{(region == replication.HomeRegion ? " (home)" : "")}</dt><dd>{Format.Count(replication.PendingCountOf(region))} pending{CutOff(replication, region)}</dd></div>

            """))}
        """);

    /// <summary>A key in all regions, side by side; nothing when the namespace is not replicated.</summary>
    public static async ValueTask<Html> RenderAsync(Visit visit, string key)
    {
        if (visit.Local is not { Replication: { } replication } kv)
        {
            return default;
        }

        var inspector = new KvInspector(kv);
        var home = inspector.Peek(key, replication.HomeRegion);
        var rows = new List<Html>();
        try
        {
            var homeStamp = await EntryStamp.OfAsync(home, visit.Aborted).ConfigureAwait(false);
            foreach (var region in replication.Regions)
            {
                var value = inspector.Peek(key, region);
                try
                {
                    var stamp = await EntryStamp.OfAsync(value, visit.Aborted).ConfigureAwait(false);
                    rows.Add(await RowAsync(visit, replication, region, value, isStale: stamp != homeStamp, stamp).ConfigureAwait(false));
                }
                finally
                {
                    value.Dispose();
                }
            }
        }
        finally
        {
            home.Dispose();
        }

        return Html.Of($"""
            <h2 id="regions">In the regions</h2>
            <div class="scroll" tabindex="0" role="region" aria-labelledby="regions">
            <table class="regions">
            <caption class="sr">This key as each region sees it, compared with the home region</caption>
            <thead><tr><th scope="col">Region</th><th scope="col">It sees</th><th scope="col">Value</th><th scope="col">Metadata</th><th scope="col">Expires</th><th scope="col" class="num">Pending</th></tr></thead>
            <tbody>
            {rows}
            </tbody>
            </table>
            </div>

            """);
    }

    private static async ValueTask<Html> RowAsync(Visit visit, KvReplication replication, string region, KvValue value, bool isStale, string stamp)
    {
        var isHome = region == replication.HomeRegion;
        var state = isHome ? Html.Of($"""<span class="state good">home</span>""")
            : isStale ? Html.Of($"""<span class="state warn">{(value.Exists ? "differs from home" : "not there")}</span>""")
            : Html.Of($"""<span class="state good">same as home</span>""");
        Html shown;
        if (value.Exists)
        {
            var preview = await ValuePreview.OfAsync(value, PreviewBytesMax, visit.Aborted).ConfigureAwait(false);
            var text = preview.IsText ? VisibleText.Plain(preview.Text, PreviewBytesMax) : Convert.ToHexStringLower(preview.Bytes.Span[..Math.Min(32, preview.Bytes.Length)]);
            shown = Html.Of($"""<code class="preview">{text}{(preview.IsWhole ? "" : "…")}</code> <small class="muted">{Format.Bytes(value.Length)}, {stamp[..8]}</small>""");
        }
        else
        {
            shown = Html.Of($"""<span class="muted">no entry</span>""");
        }

        return Html.Of($"""
            <tr{(isStale ? Html.Of($" class=\"stale\"") : default)}><th scope="row">{region}{CutOff(replication, region)}</th><td>{state}{(value.CacheStatus is null ? default : Html.Of($""" <span class="tag">cached</span>"""))}</td><td>{shown}</td>
            <td>{(value.Metadata.IsNull ? Html.Of($"""<span class="muted">–</span>""") : Html.Of($"""<code class="meta">{VisibleText.Plain(value.Metadata.ToString(), 100)}</code>"""))}</td><td>{(value.Exists ? Format.Expiration(value.Expiration, visit.Now) : default)}</td><td class="num">{Format.Count(replication.PendingCountOf(region))}</td></tr>

            """);
    }

    private static Html CutOff(KvReplication replication, string region) =>
        replication.IsPartitioned(region) ? Html.Of($""" <span class="state bad">cut off</span>""") : default;
}
