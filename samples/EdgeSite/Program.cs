using EdgeSite;
using KvStore;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.FeatureManagement;
using Npgsql;

var builder = WebApplication.CreateBuilder(args);

// What visitors leave here survives a restart: one directory for each namespace, in ./data unless it is configured. A page view and a
// cached page are acknowledged before they are on the disk, because the last second of them may be lost.
var data = Path.Combine(builder.Environment.ContentRootPath, builder.Configuration["Data"] ?? "data");
//
// With one setting, a connection string in KvStore:PostgreSql, all of it is in a database, which any number of these sites share.
var database = builder.Configuration["KvStore:PostgreSql"];
if (!string.IsNullOrWhiteSpace(database))
{
    builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(database));
}

builder.Services.AddKvBindings(configure: kv =>
{
    if (!string.IsNullOrWhiteSpace(database))
    {
        kv.UsePostgreSql();
        return;
    }

    kv.PersistTo(
        Path.Combine(data, kv.Name),
        new FilePersistenceOptions { Durability = kv.Name is "VISITS_KV" or "CACHE_KV" ? Durability.Interval : Durability.Immediate });
});

// A visitor is still signed in after a restart, has the same session, and gets cached pages from the cache.
builder.Services.AddDataProtection().SetApplicationName("EdgeSite").PersistKeysToKvNamespace("KEYS_KV");
builder.Services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie();
builder.Services.AddKvTicketStore("SESSIONS_KV");
builder.Services.AddKvSessions("SESSIONS_KV");
builder.Services.AddKvOutputCache("CACHE_KV");
builder.Services.AddFeatureManagement().AddKvFeatureDefinitions("FLAGS_KV", FlagAnswers.Prefix);
builder.Services.AddSingleton<RatesSource>();
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddAntiforgery();

var app = builder.Build();
app.UseStatusCodePages(RefuseAsync);
app.UseOutputCache();
app.UseAuthentication();
app.UseSession();
app.UseAntiforgery();
var site = app.MapGroup("").AddEndpointFilter(ReportPage.EvictAfterFormAsync);
site.MapThemePage();
site.MapMessagePage();
site.MapFlagsPage();
site.MapFlagAnswers();
site.MapRatesPage();
site.MapReportPage();
site.MapAccountPage();
await SeedAsync(app.Services);
app.Run();

// What is refused before it comes to a page: an address that is none, and forms that are incomplete or whose token is not the
// one in the visitor's cookie.
static async Task RefuseAsync(StatusCodeContext refused)
{
    var context = refused.HttpContext;
    var why = context.Response.StatusCode == StatusCodes.Status404NotFound
        ? "There is no such page."
        : "This form could not be taken as it was sent. Go back, reload the page and send it again.";
    var page = await Page.RefuseAsync(context, context.Response.StatusCode, why);
    await page.ExecuteAsync(context);
}

// A new namespace begins with the entries of its seed file, in the format of `wrangler kv bulk put`. A key says that it has
// begun: one that was emptied later stays empty. The key is in the namespace itself, so that it is wherever its entries are: in
// another directory that is configured, in a database, or in the memory of a test. Of several sites that start with one database, one
// puts the key, and it seeds. If it does not come to the end, the key expires, and the next start seeds again.
static async Task SeedAsync(IServiceProvider services)
{
    const string Marker = "seeded";
    var claim = new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) };
    foreach (var name in services.GetRequiredService<IKvNamespaceFactory>().Names)
    {
        var path = Path.Combine(AppContext.BaseDirectory, $"seed.{name}.json");
        var kv = services.GetRequiredKeyedService<IKvExtendedNamespace>(name);
        if (File.Exists(path) && (await kv.TryPutAsync(Marker, "", KvCondition.Absent, claim)).Succeeded)
        {
            await using var file = File.OpenRead(path);
            var result = await kv.ImportAsync(file);
            if (result.ErrorCount > 0)
            {
                throw new InvalidDataException($"{path}: entry {result.Errors[0].Index}: {result.Errors[0].Reason}");
            }

            await kv.PutAsync(Marker, "");
        }
    }
}

/// <summary>The site, named so that tests can host it.</summary>
public partial class Program;
