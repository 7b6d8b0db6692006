using KvStore.Dashboard.Markup;

namespace KvStore.Dashboard.Pages;

/// <summary>Shows whether a namespace takes writes.</summary>
internal static class NamespaceState
{
    public static Html Render(KvNamespace? kv) => kv?.Health switch
    {
        null => Html.Of($"""<span class="muted">unknown</span>"""),
        { Status: KvPersistenceStatus.Healthy } => Html.Of($"""<span class="state good">healthy</span>"""),
        { Status: KvPersistenceStatus.Degraded } health => Html.Of($"""<span class="state warn" title="{health.Reason}">degraded</span>"""),
        { } health => Html.Of($"""<span class="state bad" title="{health.Reason}">refuses writes</span>"""),
    };
}
