using System.Net;
using KvStore.PostgreSql.Tests.Servers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.FeatureManagement;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Adapters;

/// <summary>An application with all adapters on a namespace in PostgreSQL, which other applications share.</summary>
internal sealed class SharingApplication : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _rendered;

    private SharingApplication(WebApplication app)
    {
        _app = app;
        app.UseSession();
        app.UseOutputCache();
        app.MapKvApi(api => api.AllowAnonymous());
        app.MapKvDashboard(dashboard => dashboard.AllowAnonymous());
        app.MapGet("/page", () => $"rendered {Interlocked.Increment(ref _rendered)} times").CacheOutput(policy => policy.Expire(TimeSpan.FromHours(1)).Tag("page").SetVaryByHost(false));
        app.MapGet("/count", (HttpContext context) =>
        {
            var count = (context.Session.GetInt32("count") ?? 0) + 1;
            context.Session.SetInt32("count", count);
            return count;
        });
    }

    public IServiceProvider Services => _app.Services;

    public IConfiguration Configuration => _app.Configuration;

    public Uri Url => new(_app.Urls.First());

    /// <summary>The namespace of all adapters.</summary>
    public KvNamespace Kv => Services.GetRequiredKeyedService<KvNamespace>("APP_KV");

    /// <summary>How often the page was rendered here.</summary>
    public int Rendered => _rendered;

    public static async Task<SharingApplication> StartAsync(string database)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = "Production" });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddKvNamespace("CONFIG_KV", kv => kv.UsePostgreSql(database), read => (read.Prefix, read.Separator) = ("site/", "__"));
        builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(database));
        builder.Services.AddKvNamespace("CONFIG_KV");
        builder.Services.AddKvNamespace("APP_KV", kv => kv.UsePostgreSql());
        builder.Services.AddKvCatalog(directory: null);
        builder.Services.AddDataProtection().SetApplicationName("shared").PersistKeysToKvNamespace("APP_KV");
        builder.Services.AddAntiforgery();
        builder.Services.AddKvDistributedCache("APP_KV");
        builder.Services.AddKvHybridCache("APP_KV");
        builder.Services.AddAuthentication().AddCookie();
        builder.Services.AddKvTicketStore("APP_KV");
        builder.Services.AddKvOutputCache("APP_KV");
        builder.Services.AddKvSessions("APP_KV");
        builder.Services.AddFeatureManagement().AddKvFeatureDefinitions("APP_KV", "features/");
        var app = builder.Build();
        var application = new SharingApplication(app);
        await app.StartAsync();
        return application;
    }

    /// <summary>Somebody with cookies of their own.</summary>
    public HttpClient NewVisitor(CookieContainer? cookies = null) =>
        new(new SocketsHttpHandler { CookieContainer = cookies ?? new CookieContainer(), AllowAutoRedirect = false }) { BaseAddress = Url };

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}

/// <summary>Two applications that share a database; started once for all tests of the class.</summary>
public sealed class SharingApplications : IAsyncLifetime
{
    internal SharingApplication First { get; private set; } = null!;

    internal SharingApplication Second { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        First = await SharingApplication.StartAsync(database);
        Second = await SharingApplication.StartAsync(database);
    }

    public async Task DisposeAsync()
    {
        await First.DisposeAsync();
        await Second.DisposeAsync();
    }
}
