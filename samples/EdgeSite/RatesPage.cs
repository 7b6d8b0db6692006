using System.Globalization;
using KvStore;

namespace EdgeSite;

/// <summary>
/// A cached answer of a service elsewhere: fresh for ten seconds, and then still shown for ten minutes while one request asks the service
/// anew. When the service is down, the last answer is shown for a day.
/// </summary>
internal static class RatesPage
{
    private static readonly KvGetOrCreateOptions s_options = new()
    {
        ExpirationTtl = TimeSpan.FromSeconds(10),
        StaleFor = TimeSpan.FromMinutes(10),
        StaleOnError = TimeSpan.FromDays(1),
    };

    /// <summary>Adds the page.</summary>
    public static void MapRatesPage(this IEndpointRouteBuilder app) => app.MapGet("/rates", async (
        HttpContext context, [FromKeyedServices("CACHE_KV")] IKvExtendedNamespace cache, RatesSource source, TimeProvider time) =>
    {
        // However many visitors come at once, the service gets one call.
        var rates = await cache.GetOrCreateAsync(
            "rates", source, static (source, ct) => source.FetchAsync(ct), SiteJson.Default.Rates, s_options, context.RequestAborted);
        var page = await Page.ForAsync(context);
        var age = (long)(time.GetUtcNow() - rates.At).TotalSeconds;
        return page.Render("Cached rates", string.Create(CultureInfo.InvariantCulture, $"""
            <section class="card" aria-label="The rates">
            <p>One euro is <strong>{rates.EuroInDollars:0.00}</strong> dollars.</p>
            <p class="muted">Answer number {rates.Number} of the service, {age} seconds old.</p>
            </section>
            <p class="muted">An answer is fresh for {s_options.ExpirationTtl!.Value.TotalSeconds} seconds. After that it is shown once more, and the next visitor sees a new one.</p>
            """));
    });
}
