using EdgeSite;
using KvStore;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddKvNamespacesFromWrangler(Path.Combine(AppContext.BaseDirectory, "wrangler.jsonc"));
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddAntiforgery();

var app = builder.Build();
app.UseAntiforgery();
app.MapThemePage();
app.MapMessagePage();
app.MapFlagsPage();
await SeedAsync(app.Services);
app.Run();

// A namespace that is empty begins with the entries of its seed file, in the format of `wrangler kv bulk put`.
static async Task SeedAsync(IServiceProvider services)
{
    var namespaces = services.GetRequiredService<IKvNamespaceFactory>();
    foreach (var name in namespaces.Names)
    {
        var path = Path.Combine(AppContext.BaseDirectory, $"seed.{name}.json");
        var kv = namespaces.Get(name);
        if (File.Exists(path) && (await kv.ListAsync(new KvListOptions { Limit = 1 })).Keys.Count == 0)
        {
            await using var file = File.OpenRead(path);
            var result = await KvBulk.ImportAsync(kv, file);
            if (result.ErrorCount > 0)
            {
                throw new InvalidDataException($"{path}: entry {result.Errors[0].Index}: {result.Errors[0].Reason}");
            }
        }
    }
}

/// <summary>The site, named so that tests can host it.</summary>
public partial class Program;
