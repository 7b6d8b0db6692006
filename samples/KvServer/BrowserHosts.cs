using System.Net;

namespace KvServer;

/// <summary>
/// Checks the host name of requests for the sign-in pages. Otherwise a page of another site could call the server by a name of its
/// own, and use up the tries of its visitor's address. The dashboard checks its own requests.
/// </summary>
internal static class BrowserHosts
{
    public static void Check(this IEndpointConventionBuilder endpoint, string[] names) => endpoint.Add(builder =>
    {
        var next = builder.RequestDelegate!;
        builder.RequestDelegate = context =>
        {
            if (IsAllowed(context.Request.Host.Host, names))
            {
                return next(context);
            }

            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return context.Response.WriteAsync("The server has another name: call it localhost or by an address, or add the name with --allow-host.");
        };
    });

    private static bool IsAllowed(string? host, string[] names) => !string.IsNullOrEmpty(host)
        && (names.Any(name => name == "*" || string.Equals(name, host, StringComparison.OrdinalIgnoreCase))
            || string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
            || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
            || IPAddress.TryParse(host.AsSpan().Trim("[]"), out _));
}
