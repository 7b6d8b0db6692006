using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Dashboard.Tests;

/// <summary>A dashboard on the network. Who comes in says who it is in the header <c>X-User</c>: the policy wants <c>owner</c>.</summary>
internal sealed class DashboardHost : IAsyncDisposable
{
    public const string Policy = "dashboard";
    public const string Owner = "owner";

    private readonly WebApplication _app;

    private DashboardHost(WebApplication app)
    {
        _app = app;
        Url = app.Urls.First();
    }

    public string Url { get; }

    /// <summary>Every endpoint of the application.</summary>
    public IReadOnlyList<RouteEndpoint> Endpoints => [.. _app.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()];

    public static async Task<DashboardHost> StartAsync(
        KvNamespaceCatalog catalog,
        TimeProvider time,
        Action<KvDashboardOptions>? configure = null,
        Action<IServiceCollection>? services = null,
        Func<WebApplication, IEndpointRouteBuilder>? where = null,
        ILoggerProvider? log = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        if (log is not null)
        {
            builder.Logging.AddProvider(log);
        }

        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(catalog).AddSingleton(time);
        builder.Services.AddDataProtection().UseEphemeralDataProtectionProvider();
        builder.Services.AddAntiforgery();
        builder.Services.AddAuthentication("header").AddScheme<AuthenticationSchemeOptions, HeaderUser>("header", null);
        builder.Services.AddAuthorizationBuilder().AddPolicy(Policy, policy => policy.RequireUserName(Owner));
        services?.Invoke(builder.Services);
        var app = builder.Build();
        try
        {
            (where?.Invoke(app) ?? app).MapKvDashboard(options =>
            {
                if (configure is null)
                {
                    options.RequirePolicy(Policy);
                }

                configure?.Invoke(options);
            });
            await app.StartAsync();
            return new DashboardHost(app);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    /// <summary>Takes who it is from a header, which nobody but a test should.</summary>
    private sealed class HeaderUser(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            if (Request.Headers["X-User"].ToString() is not { Length: > 0 } name)
            {
                return Task.FromResult(AuthenticateResult.NoResult());
            }

            var identity = new ClaimsIdentity([new Claim(ClaimTypes.Name, name)], Scheme.Name);
            return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Scheme.Name)));
        }
    }
}
