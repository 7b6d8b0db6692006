using System.Globalization;
using KvStore;
using Microsoft.AspNetCore.OutputCaching;

namespace EdgeSite;

/// <summary>
/// A page that is the same for everybody, so that it comes from the output cache for an hour, also after a restart. A form that changes
/// something evicts it.
/// </summary>
internal static class ReportPage
{
    private const string Tag = "report";

    private static readonly string[] s_tenants = ["acme", "globex"];

    /// <summary>Adds the page.</summary>
    public static void MapReportPage(this IEndpointRouteBuilder app) => app.MapGet("/report", async (
        HttpContext context, IFlags flags, IMessages messages, TimeProvider time) =>
    {
        var rows = "";
        foreach (var tenant in s_tenants)
        {
            var listed = await flags.Flags(tenant).ListAsync(context.RequestAborted).ToListAsync(context.RequestAborted);
            rows += string.Create(
                CultureInfo.InvariantCulture, $"<tr><td class=\"text\">{tenant}</td><td>{listed.Count(static flag => flag.Metadata?.Enabled == true)} of {listed.Count}</td></tr>");
        }

        var message = (await messages.Pinned().GetAsync(cancellationToken: context.RequestAborted)).Value;
        var page = new Page(context, await ThemePage.ThemeOfAsync(context));
        return page.Render("Report", string.Create(CultureInfo.InvariantCulture, $"""
            <section class="card scroll" aria-label="The report">
            <table><thead><tr><th scope="col">Tenant</th><th scope="col">Flags that are on</th></tr></thead><tbody>{rows}</tbody></table>
            <p class="muted">The pinned message has {message?.Length ?? 0} characters.</p>
            <p>Rendered at <time>{time.GetUtcNow():yyyy-MM-dd HH:mm:ss.fffffff}</time> UTC.</p>
            </section>
            <p class="muted">The page is rendered once an hour, and when a form has changed something.</p>
            """));
    }).CacheOutput(
        static policy => policy
            .AddPolicy<ForEverybody>()
            .Expire(TimeSpan.FromHours(1))
            .Tag(Tag)

            // There is one page for each theme, and all addresses of the site show the same.
            .VaryByValue(static async (context, _) => KeyValuePair.Create("theme", await ThemePage.ThemeOfAsync(context)))
            .SetVaryByHost(false),
        excludeDefaultPolicy: true);

    /// <summary>Evicts the page when a form was handled, before the answer is sent.</summary>
    public static async ValueTask<object?> EvictAfterFormAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        var result = await next(invocation);
        var context = invocation.HttpContext;
        if (HttpMethods.IsPost(context.Request.Method))
        {
            await context.RequestServices.GetRequiredService<IOutputCacheStore>().EvictByTagAsync(Tag, context.RequestAborted);
        }

        return result;
    }

    // The default policy caches nothing for visitors who are signed in, because it cannot know that their page is everybody's.
    private sealed class ForEverybody : IOutputCachePolicy
    {
        public ValueTask CacheRequestAsync(OutputCacheContext context, CancellationToken cancellationToken)
        {
            context.EnableOutputCaching = context.AllowCacheLookup = context.AllowCacheStorage = context.AllowLocking = true;
            return ValueTask.CompletedTask;
        }

        public ValueTask ServeFromCacheAsync(OutputCacheContext context, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask ServeResponseAsync(OutputCacheContext context, CancellationToken cancellationToken)
        {
            var response = context.HttpContext.Response;
            context.AllowCacheStorage = response.StatusCode == StatusCodes.Status200OK && response.Headers.SetCookie.Count == 0;
            return ValueTask.CompletedTask;
        }
    }
}
