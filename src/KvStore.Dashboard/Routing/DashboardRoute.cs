using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvStore.Dashboard.Routing;

/// <summary>A route of the dashboard: finds the namespace in the path and answers, or writes a failure as a page.</summary>
internal sealed class DashboardRoute(DashboardContext dashboard, ILogger logger, string pattern, Func<Visit, Task> answer)
    : HttpEndpoint(dashboard.Catalog, logger)
{
    protected override Failure ServerFault { get; } = new(StatusCodes.Status500InternalServerError, 0, "Something went wrong here. The log of the server says what.");

    protected override Task DispatchAsync(HttpContext context, ref KvCatalogEntry? entry)
    {
        PageWriter.SetHeaders(context.Response);
        dashboard.Hosts?.Check(context.Request);
        if (context.Request.RouteValues["id"] is string id)
        {
            entry = dashboard.Catalog.Find(id) ?? throw new RefusedException(Failure.NamespaceNotFound);
        }

        return answer(new Visit(context, dashboard, Links.Of(context, pattern), entry));
    }

    protected override Task WriteFailureAsync(HttpContext context, Failure failure)
    {
        var visit = new Visit(context, dashboard, Links.Of(context, pattern), entry: null);
        var title = failure.Status switch
        {
            StatusCodes.Status404NotFound => "Not found",
            StatusCodes.Status413PayloadTooLarge => "Too large",
            StatusCodes.Status429TooManyRequests => "Too many at one time",
            >= StatusCodes.Status500InternalServerError => "Something failed",
            _ => "That did not work",
        };
        return PageWriter.WriteAsync(
            visit,
            title,
            Html.Of($"""
                {PageLayout.Trail((visit.Links.Home, Html.Text("Namespaces")))}
                <h1>{title}</h1>
                {PageLayout.Alert(failure.Message)}

                """),
            failure.Status);
    }
}
